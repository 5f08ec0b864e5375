from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "advertmarket.api"
    label = "api"
