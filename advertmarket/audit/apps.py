from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "advertmarket.audit"
    label = "audit"
