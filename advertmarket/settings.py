"""The whole configuration: environment in, typed values out; `.env.example` documents each.

PROCESS_ROLE says which process this is; each role requires only what it uses, so that the
mnemonic exists in the signer's environment and nowhere else.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import django_stubs_ext
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _
from redis.backoff import NoBackoff
from redis.retry import Retry

from .environment import Environment, Network, refuse
from .logging import logging_config
from .money import NANO_PER_TON

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

_COMMON = frozenset({"DB_PASSWORD", "DJANGO_SECRET_KEY", "EVENT_SIGNING_KEY"})
_REQUIRED = {
    "web": _COMMON
    | {
        "JWT_SECRET",
        "PII_ENCRYPTION_KEY",
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_WEBHOOK_SECRET",
        "TON_API_KEY",
        "TON_WALLET_PUBLIC_KEY",
    },
    "worker": _COMMON
    | {
        "PII_ENCRYPTION_KEY",
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_VERIFIER_CHAT_ID",
        "TON_API_KEY",
        "TON_WALLET_PUBLIC_KEY",
    },
    "signer": _COMMON
    | {"PII_ENCRYPTION_KEY", "TON_API_KEY", "TON_WALLET_MNEMONIC", "TON_WALLET_PUBLIC_KEY"},
    "consumer": _COMMON,
    "beat": _COMMON,
    "chain": _COMMON | {"TON_API_KEY", "TON_WALLET_PUBLIC_KEY"},
    "watch": _COMMON | {"TELEGRAM_BOT_TOKEN"},
    "manage": _COMMON,
    "build": frozenset[str](),
}
PROCESS_ROLE = Environment(os.environ, required=frozenset()).choice(
    "PROCESS_ROLE", "manage", among=sorted(_REQUIRED)
)
env = Environment(os.environ, required=_REQUIRED[PROCESS_ROLE])

_GENERATE = "make one with: python manage.py generate_secrets"

# --- Django -----------------------------------------------------------------------------------
SECRET_KEY = env.secret("DJANGO_SECRET_KEY", min_bytes=32, hint=_GENERATE) or "build-only"
DEBUG = False
PUBLIC_URL = env.url("PUBLIC_URL", "https://bot.advertmarket.com")
MINI_APP_URL = env.url("MINI_APP_URL", "https://app.advertmarket.com")
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS", "bot.advertmarket.com,localhost,127.0.0.1")
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "csp",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "advertmarket.api",
    "advertmarket.audit",
    "advertmarket.messaging",
    "advertmarket.telegram",
    "accounts",
    "payments",
    "channels",
    "deals",
    "notifications",
    "ops",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "advertmarket.middleware.correlation_middleware",
    "advertmarket.middleware.origin_middleware",
    "django.middleware.security.SecurityMiddleware",
    "advertmarket.middleware.cors_middleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "advertmarket.middleware.admin_policy_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
ROOT_URLCONF = "advertmarket.urls"
WSGI_APPLICATION = "advertmarket.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.Operator"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "ru"
LANGUAGES = [("ru", _("Russian")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
STATIC_URL = "/static/"
STATIC_ROOT = env.text("STATIC_ROOT", str(BASE_DIR / "staticfiles"))
FORMS_URLFIELD_ASSUME_HTTPS = True

# --- Web server ---------------------------------------------------------------------------------
WEB_HOST = env.text("WEB_HOST", "0.0.0.0")  # noqa: S104 - a container's own network
WEB_PORT = env.number("WEB_PORT", 8080, minimum=1)
WEB_WORKERS = env.number("WEB_WORKERS", 2, minimum=1)
WEB_THREADS = env.number("WEB_THREADS", 16, minimum=1)
SHUTDOWN_DRAIN_S = env.seconds("SHUTDOWN_DRAIN_S", 5.0)

# --- PostgreSQL -------------------------------------------------------------------------------
_STATEMENT_TIMEOUT_S = {"web": 30, "watch": 10, "manage": 0, "build": 0}.get(PROCESS_ROLE, 300)
"""Nobody waits for a page or an alarm longer; a migration or a check by hand takes its time."""

DB_POOL_MAX = env.number("DB_POOL_MAX", WEB_THREADS, minimum=1)
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": env.text("DB_HOST", "postgres"),
        "PORT": env.number("DB_PORT", 5432),
        "NAME": env.text("DB_NAME", "advertmarket"),
        "USER": env.text("DB_USER", "app"),
        "PASSWORD": env.text("DB_PASSWORD", hint=_GENERATE),
        "OPTIONS": {
            "application_name": f"advertmarket-{PROCESS_ROLE}",
            "connect_timeout": 5,
            "options": (
                f"-c statement_timeout={_STATEMENT_TIMEOUT_S}s -c lock_timeout=10s"
                " -c idle_in_transaction_session_timeout=60s"
            ),
            # a server that went away without a word is noticed within half a minute
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 4,
            "tcp_user_timeout": 30_000,
            "pool": {
                "min_size": 0,
                "max_size": DB_POOL_MAX,
                "timeout": 10,
                # the waits between attempts double: give up and begin anew before they are long
                "reconnect_timeout": 5,
            },
        },
        "CONN_HEALTH_CHECKS": True,
    }
}

# --- Redis: database 0 holds the pause flag, heartbeats and limits; clearing 2 never touches it ---
REDIS_HOST = env.text("REDIS_HOST", "redis")
REDIS_PORT = env.number("REDIS_PORT", 6379)
REDIS_PASSWORD = env.text("REDISCLI_AUTH")
_redis_login = f":{quote(REDIS_PASSWORD, safe='')}@" if REDIS_PASSWORD else ""
_redis_url = f"redis://{_redis_login}{REDIS_HOST}:{REDIS_PORT}"
REDIS_STATE_URL = f"{_redis_url}/0"
REDIS_TIMEOUT_S = 1.0
CACHES = {
    # the admin's search box would show results of 5 minutes ago; nothing else asks for a cache
    "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    "state": {  # not used as a cache: advertmarket.state takes its connections from here
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_STATE_URL,
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": REDIS_TIMEOUT_S,
            "SOCKET_TIMEOUT": REDIS_TIMEOUT_S,
            "CONNECTION_POOL_KWARGS": {
                "decode_responses": True,
                "retry": Retry(NoBackoff(), 1),
            },
        },
    },
}
CELERY_BROKER_URL = f"{_redis_url}/2"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2, "socket_timeout": 5}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_POOL = "threads"  # even with --pool=prefork: nobody would see what children count
CELERY_TIMEZONE = "UTC"

# --- Kafka ------------------------------------------------------------------------------------
KAFKA_BOOTSTRAP_SERVERS = env.text("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
KAFKA_SESSION_TIMEOUT_S = env.number("KAFKA_SESSION_TIMEOUT_S", 30, minimum=2)
EVENT_SIGNING_KEY = env.key_256("EVENT_SIGNING_KEY", hint=_GENERATE)
OLD_EVENT_SIGNING_KEYS = env.keys_256("OLD_EVENT_SIGNING_KEYS")

# --- The disk that is watched: by default the one that the code lies on ---------------------------
DISK_PATH = env.folder("DISK_PATH", str(BASE_DIR))

# --- Metrics; 0 serves none -----------------------------------------------------------------------
METRICS_PORT = env.number("METRICS_PORT", 0)

# --- TON --------------------------------------------------------------------------------------
TON_NETWORK: Network = (
    "testnet"
    if env.choice("TON_NETWORK", "mainnet", among=("mainnet", "testnet")) == "testnet"
    else "mainnet"
)
TON_API_URL = env.url("TON_API_URL", "https://toncenter.com")
TON_API_VERSION = env.choice("TON_API_VERSION", "v3", among=("v3", "v2"))
TON_API_KEY = env.text("TON_API_KEY", hint="get one from TON Center")
TON_API_RPS = env.number("TON_API_RPS", 10, minimum=1)
TON_WALLET_PUBLIC_KEY = env.text("TON_WALLET_PUBLIC_KEY", hint=_GENERATE)
TON_WALLET_MNEMONIC = env.text("TON_WALLET_MNEMONIC", hint=_GENERATE)
if TON_WALLET_MNEMONIC and PROCESS_ROLE not in {"signer", "manage", "build"}:
    refuse("TON_WALLET_MNEMONIC", f"must not be known to the {PROCESS_ROLE}", "only to the signer")
SIGNING_LIMITS_NANO = {
    "transfer": env.number("SIGNING_LIMIT_TRANSFER_TON", 10_000, minimum=1) * NANO_PER_TON,
    "hour": env.number("SIGNING_LIMIT_HOUR_TON", 50_000, minimum=1) * NANO_PER_TON,
    "day": env.number("SIGNING_LIMIT_DAY_TON", 200_000, minimum=1) * NANO_PER_TON,
}
OPERATOR_LIMITS_NANO = {
    "operation": env.number("OPERATOR_LIMIT_OPERATION_TON", 100, minimum=0) * NANO_PER_TON,
    "day": env.number("OPERATOR_LIMIT_DAY_TON", 500, minimum=0) * NANO_PER_TON,
}
TREASURY_COLD_ADDRESS = env.text("TREASURY_COLD_ADDRESS", "")
TON_READER_POLL_S = env.seconds("TON_READER_POLL_S", 1.0)

# --- Telegram ---------------------------------------------------------------------------------
TELEGRAM_API_URL = env.url("TELEGRAM_API_URL", "https://api.telegram.org")
TELEGRAM_BOT_TOKEN = env.text("TELEGRAM_BOT_TOKEN", hint="get one from @BotFather")
TELEGRAM_BOT_USERNAME = env.text("TELEGRAM_BOT_USERNAME", "advertmarket_bot")
TELEGRAM_WEBHOOK_SECRET = env.secret("TELEGRAM_WEBHOOK_SECRET", min_bytes=16, hint=_GENERATE)
OLD_TELEGRAM_WEBHOOK_SECRETS = env.secrets("OLD_TELEGRAM_WEBHOOK_SECRETS", min_bytes=16)
TELEGRAM_VERIFIER_CHAT_ID = env.chat_id(
    "TELEGRAM_VERIFIER_CHAT_ID", hint="a private channel of yours with the bot as administrator"
)

# --- Alarms: what the watch role tells people by, beside Telegram ---------------------------------
ALERT_LANGUAGE = env.choice("ALERT_LANGUAGE", "ru", among=("ru", "en"))
ALERT_HOOK_URL = env.optional_url("ALERT_HOOK_URL")
ALERT_HOOK_SECRET = env.secret("ALERT_HOOK_SECRET", min_bytes=16, hint=_GENERATE)
ALERT_EMAIL_TO = env.items("ALERT_EMAIL_TO")
ALERT_EMAIL_FROM = env.text("ALERT_EMAIL_FROM", "advertmarket@localhost")
ALERT_SMTP_HOST = env.text("ALERT_SMTP_HOST")
ALERT_SMTP_PORT = env.number("ALERT_SMTP_PORT", 587, minimum=1)
ALERT_SMTP_SECURITY = env.choice(
    "ALERT_SMTP_SECURITY", "starttls", among=("starttls", "tls", "none")
)
ALERT_SMTP_USER = env.text("ALERT_SMTP_USER")
ALERT_SMTP_PASSWORD = env.text("ALERT_SMTP_PASSWORD")
if ALERT_EMAIL_TO and not ALERT_SMTP_HOST:
    refuse("ALERT_SMTP_HOST", "is missing, and ALERT_EMAIL_TO wants mail")
DEADMAN_URL = env.optional_url("DEADMAN_URL")
RUNBOOK_URL = env.optional_url("RUNBOOK_URL")

# --- Secrets of our own -----------------------------------------------------------------------
JWT_SECRET = env.secret("JWT_SECRET", min_bytes=32, hint=_GENERATE)
OLD_JWT_SECRETS = env.secrets("OLD_JWT_SECRETS", min_bytes=32)
JWT_LIFETIME_S = env.number("JWT_LIFETIME_S", 86_400, minimum=60)
PII_ENCRYPTION_KEY = env.key_256("PII_ENCRYPTION_KEY", hint=_GENERATE)
OLD_PII_ENCRYPTION_KEYS = env.keys_256("OLD_PII_ENCRYPTION_KEYS")

# --- Times of the business, compressible for a demo ---------------------------------------------
DEADLINE_SCALE = env.seconds("DEADLINE_SCALE", 1.0)
RETENTION_S = env.seconds("RETENTION_S", 86_400)
PAYOUT_ADDRESS_COOL_DOWN_S = env.number("PAYOUT_ADDRESS_COOL_DOWN_S", 86_400)

# --- Logs and what is told about this build -----------------------------------------------------
BUILD = {
    "version": env.text("BUILD_VERSION", "0.1.0"),
    "commit": env.text("GIT_COMMIT", "unknown"),
    "builtAt": env.text("BUILD_TIME", "unknown"),
}
_SECRETS = (
    "ALERT_HOOK_SECRET",
    "ALERT_HOOK_URL",
    "ALERT_SMTP_PASSWORD",
    "DB_PASSWORD",
    "DEADMAN_URL",
    "DJANGO_SECRET_KEY",
    "EVENT_SIGNING_KEY",
    "JWT_SECRET",
    "OLD_EVENT_SIGNING_KEYS",
    "OLD_JWT_SECRETS",
    "OLD_PII_ENCRYPTION_KEYS",
    "OLD_TELEGRAM_WEBHOOK_SECRETS",
    "PII_ENCRYPTION_KEY",
    "REDISCLI_AUTH",
    "TELEGRAM_BOT_TOKEN",
    "TELEGRAM_WEBHOOK_SECRET",
    "TON_API_KEY",
    "TON_WALLET_MNEMONIC",
)
SECRET_VALUES = [item for name in _SECRETS for item in env.items(name)]
"""What no log line and no alert may show."""

LOGGING = logging_config(
    role=PROCESS_ROLE,
    level=env.choice("LOG_LEVEL", "INFO", among=("DEBUG", "INFO", "WARNING", "ERROR")),
    secrets=SECRET_VALUES,
)

# --- HTTP -------------------------------------------------------------------------------------
SECURE_SSL_REDIRECT = PUBLIC_URL.startswith("https://")
SECURE_REDIRECT_EXEMPT = [r"^actuator/"]  # asked from inside, without the proxy
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.BearerAuthentication"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "advertmarket.api.problems.handle_exception",
    "NUM_PROXIES": env.number("TRUSTED_PROXIES", 1),
}
SPECTACULAR_SETTINGS = {
    "TITLE": "advertmarket",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_NAME_OVERRIDES": {"WhoEnum": "deals.api.serializers.WHO"},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "advertmarket.api.schema.describe_errors",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
UNFOLD = {
    "SITE_TITLE": "advertmarket",
    "SITE_HEADER": "advertmarket",
    "SHOW_HISTORY": False,
    "LOGIN": {"form": "accounts.sign_in.SignInForm"},
}
