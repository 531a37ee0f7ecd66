import time
import unittest

from crontabber.output.secrets import mask_of, masker, secrets_in
from tests.support import assert_within


class TestSecrets(unittest.TestCase):
    def test_it_masks_texts_that_look_like_secrets(self) -> None:
        cases = [
            ("host=db password=hunter2 user=me", "host=db password=**** user=me"),
            ("password = 'it\\'s me' port=1", "password = **** port=1"),
            ("PGPASSWORD=x DB_PASSWD=y", "PGPASSWORD=**** DB_PASSWD=****"),
            ("{'password': 'x', 'n': 1}", "{'password': ****, 'n': 1}"),
            ('{"api_key": "x"}', '{"api_key": ****}'),
            ("the password: hunter2", "the password: ****"),
            ("connect(dsn=DSN, timeout=3)", "connect(dsn=****, timeout=3)"),
            ("?token=abc&page=2", "?token=****&page=2"),
            ("postgres://me:p@ss@db/x", "postgres://****@db/x"),
            ("https://0f6a@sentry.example/14", "https://****@sentry.example/14"),
        ]
        mask = masker([])
        for text, expected in cases:
            with self.subTest(text=text):
                self.assertEqual(mask(text), expected)

    def test_it_leaves_other_texts_alone(self) -> None:
        for text in (
            'FATAL: password authentication failed for user "me"',
            "unexpected token: }",
            "if password == other:",
            "see https://example.org/a and write to me@example.org",
        ):
            with self.subTest(text=text):
                self.assertEqual(masker([])(text), text)

    def test_it_masks_known_secrets_however_they_are_quoted(self) -> None:
        cases = [
            ("hunter2!", "xhunter2!x", "x****x"),
            ("a b/c:d", "a b/c:d a%20b%2Fc%3Ad a+b%2Fc%3Ad", "**** **** ****"),
            ("a\nb\\c'd\"e", repr("a\nb\\c'd\"e"), "'****'"),
            ("abc", "abc abcd xabc (abc)", "**** abcd xabc (****)"),
            ("not\udcfftext", "not\udcfftext not\\udcfftext", "**** ****"),
            ("", "nothing", "nothing"),
            (" ", "a b", "a b"),
        ]
        for secret, text, expected in cases:
            with self.subTest(secret=secret):
                self.assertEqual(masker([secret])(text), expected)

    def test_the_longer_of_two_secrets_is_masked_first(self) -> None:
        self.assertEqual(masker(["hunter", "hunter2000"])("hunter2000 hunter"), "**** ****")

    def test_a_short_secret_is_masked_only_if_it_is_a_password(self) -> None:
        for name, value, masked in (
            ("password", "a", True), ("ftp_passwd", "a", True), ("token", "a", False), ("dsn", "a", False),
            ("token", "abcdef", True),
        ):  # fmt: skip
            with self.subTest(name=name, value=value):
                self.assertEqual(mask_of([(name, value)])(f"b {value} c"), f"b {'****' if masked else value} c")

    def test_variables_with_telling_names_are_secrets(self) -> None:
        environment = {
            "PGPASSWORD": "x",
            "crontabber.database.password": "hunter2",
            "SENTRY_DSN": "https://a@b/1",
            "GITHUB_TOKEN": "0123456",
            "TOKENIZERS_PARALLELISM": "false",
            "PATH": "/usr/bin",
        }
        self.assertEqual(secrets_in(environment), ["x", "hunter2", "https://a@b/1", "0123456"])

    def test_it_masks_any_text_quickly(self) -> None:
        mask = masker(["hunter2"])
        for piece in ("password", "password=", 'password="', "'password'", "://", "://a:b", "@", "\\", "password\\"):
            with self.subTest(piece=piece):
                started = time.perf_counter()

                mask(piece * (64_000 // len(piece)))
                mask("password" + piece * (64_000 // len(piece)))

                assert_within(1, time.perf_counter() - started)
