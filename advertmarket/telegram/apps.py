from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class TelegramConfig(AppConfig):
    name = "advertmarket.telegram"
    label = "telegram"

    def ready(self) -> None:
        autodiscover_modules("bot")
