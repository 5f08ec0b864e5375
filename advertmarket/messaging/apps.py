from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "advertmarket.messaging"
    label = "messaging"
