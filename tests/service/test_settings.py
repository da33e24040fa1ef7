from pathlib import Path

import pytest

from service.settings import Settings, SettingsError, table
from tests.service.running import ROOT


def test_defaults_hold_when_the_environment_says_nothing_or_is_empty() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"PORT": "", "FAST_LANE": " "}) == Settings()


def test_every_kind_of_setting_is_read() -> None:
    settings = Settings.from_environment(
        {
            "PORT": "9000",
            "MAX_WAIT_MS": "12.5",
            "FAST_LANE": "OFF",
            "MODEL_PATH": "/m.ubj",
            "REDIS_URL": "redis://r",
        }
    )
    assert (settings.port, settings.max_wait_ms, settings.fast_lane) == (9000, 12.5, "off")
    assert (settings.model_path, settings.redis_url) == (Path("/m.ubj"), "redis://r")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "http", "PORT='http' must be a whole number from 1 to 65535."),
        ("PORT", "70000", "PORT='70000' must be a whole number from 1 to 65535."),
        ("WORKERS", "1.5", "WORKERS='1.5' must be a whole number from 1 to 64."),
        ("BATCH_WAIT_MS", "nan", "BATCH_WAIT_MS='nan' must be a number from 0 to 1000."),
        ("FAST_LANE", "maybe", "FAST_LANE='maybe' is not known: use on or off."),
        ("SERVING", "cloud", "SERVING='cloud' is not known: use inprocess or queue."),
        *[
            (
                "REDIS_URL",
                wrong,
                "REDIS_URL must be a URL that begins with redis:// or rediss:// or unix://, as in "
                "redis://127.0.0.1:6379/0.",
            )
            for wrong in ("localhost:6379", "redis://:secret@host:port/0", "http://host", "redis://[::1/0")
        ],
        *[
            (
                "REDIS_URL",
                f"redis://:secret@host/0?{wrong}",
                "REDIS_URL has a database number or an option after the ? that redis-py does not know: write it as in "
                "redis://127.0.0.1:6379/0.",
            )
            for wrong in ("db=x", "socket_timeout=abc", "nonsense=1")
        ],
    ],
)
def test_a_wrong_setting_is_one_sentence_that_says_what_is_accepted(
    name: str, value: str, sentence: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({name: value})
    assert str(raised.value) == sentence


def test_the_documentation_lists_every_setting_as_it_is() -> None:
    assert table() in (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
