"""The front of the package: every name can be had, and checking settings does not load what sends."""

import subprocess
import sys

import transforms.tiktok


def test_every_name_of_the_front_can_be_loaded() -> None:
    assert [name for name in transforms.tiktok.__all__ if getattr(transforms.tiktok, name, None) is None] == []


def test_settings_are_checked_without_what_sends() -> None:
    program = (
        "import sys\n"
        "from transforms.tiktok import Budget, check_api_url, check_proxy_url, parse_reference\n"
        "sys.exit('requests' in sys.modules or 'apache_beam' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
