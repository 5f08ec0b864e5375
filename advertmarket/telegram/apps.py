from django.apps import AppConfig


class TelegramConfig(AppConfig):
    name = "advertmarket.telegram"
    label = "telegram"
