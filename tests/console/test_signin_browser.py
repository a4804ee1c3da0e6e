"""Signing in in a real browser, by keyboard alone: a first second factor, a passkey, English."""

from __future__ import annotations

import pyotp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions

from models.parties import Role
from tests.browser import Browser
from tests.console.conftest import SignIn
from tests.console.place import PASSPHRASE, STEP, Place


def newcomer(console: Place, person: str, name: str) -> str:
    """Someone who signs in for the first time; their one-time code."""
    if console.console.accounts.person(person) is None:
        console.enrol(person, name, Role.AUDITOR)
    console.console.factors.forget(person)
    return console.console.accounts.issue_code(person)


def sign_out(window: Browser) -> None:
    window.press("退出")
    window.wait_for("密钥口令")


def test_start_page(sign_in: SignIn) -> None:
    window = sign_in(Role.CLERK)
    window.wait_for("等您处理")
    window.shot("start")
    window.press("信用办经办")
    window.wait_for("账户安全")
    window.shot("security")
    sign_out(window)
    window.shot("signin")
    window.driver.back()
    window.wait_for("密钥口令")


def test_the_first_sign_in_sets_up_an_authenticator(window: Browser, console: Place) -> None:
    code = newcomer(console, "office/he.xin", "何欣")
    window.sign_in(console.url, "何欣", PASSPHRASE)
    window.wait_for("登记第二重验证")
    window.keys("AAAA-BBBB-CCCC-DDDD", Keys.ENTER)
    window.wait_for("代码不对或已过期")
    window.tab_to("一次性代码")
    window.keys(code.lower(), Keys.ENTER)
    window.wait_for("手机验证器")
    secret = window.driver.find_element(By.ID, "secret").text
    assert window.driver.find_element(By.CSS_SELECTOR, ".qr svg").size["width"] > 100
    window.shot("enrol")
    digits = pyotp.TOTP(secret).at(int(console.clock()))
    window.keys(digits, Keys.ENTER)
    window.wait_for("恢复码")
    kept = window.driver.find_element(By.CSS_SELECTOR, ".codes li").text
    window.shot("recovery")
    window.press("已经收好")
    window.wait_for("等您处理")
    sign_out(window)
    window.sign_in(console.url, "何欣", PASSPHRASE)
    window.wait_for("第二重验证")
    window.shot("second")
    window.keys(digits, Keys.ENTER)
    window.wait_for("每个验证码只能用一次")
    window.tab_to("验证码或恢复码")
    window.keys(kept, Keys.ENTER)
    window.wait_for("等您处理")
    assert secret not in window.driver.page_source
    console.clock.shift += STEP


def test_a_passkey(window: Browser, console: Place) -> None:
    options = VirtualAuthenticatorOptions(
        protocol=VirtualAuthenticatorOptions.Protocol.CTAP2,
        transport=VirtualAuthenticatorOptions.Transport.INTERNAL,
        has_user_verification=True,
        is_user_verified=True,
    )
    window.driver.add_virtual_authenticator(options)
    code = newcomer(console, "office/song.yu", "宋雨")
    window.sign_in(console.url, "宋雨", PASSPHRASE)
    window.wait_for("登记第二重验证")
    window.keys(code, Keys.ENTER)
    window.wait_for("手机验证器")
    window.press("建立通行密钥")
    window.wait_for("只显示这一次")
    window.press("已经收好")
    window.wait_for("等您处理")
    sign_out(window)
    window.sign_in(console.url, "宋雨", PASSPHRASE)
    window.wait_for("使用通行密钥")
    window.press("使用通行密钥")
    window.wait_for("等您处理")
    sign_out(window)
    window.driver.set_user_verified(False)
    window.sign_in(console.url, "宋雨", PASSPHRASE)
    window.wait_for("使用通行密钥")
    window.press("使用通行密钥")
    window.wait_for("浏览器没有给出通行密钥")


def test_an_enrolled_key_of_another_does_not_serve(window: Browser, console: Place) -> None:
    """A key file that was swapped opens, and is still not the enrolled key."""
    file = console.config.data_dir / "office.li.na.pem"
    before = file.read_bytes()
    from models import protected_keys

    file.unlink()
    protected_keys.protect(Ed25519PrivateKey.generate(), file, PASSPHRASE)
    try:
        window.sign_in(console.url, "李娜", PASSPHRASE)
        window.wait_for("不是信用办登记的那一把")
    finally:
        file.write_bytes(before)


def test_english(window: Browser, console: Place) -> None:
    window.go(f"{console.url}/signin")
    window.press("English")
    window.wait_for("Passphrase of your key")
    window.press("Your own credit file")
    window.wait_for("Account name")
    window.shot("account-english")
