import io
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

from crontabber.engine.sentry import Sentry
from crontabber.errors import SentryConfigurationError, SentryDeliveryError
from tests.integration.sentry_receiver import KEY, SECRET, SentryReceiver
from tests.support import assert_within

ROOT = Path(__file__).parents[2]
RELEASE = "1.2.3"
SOURCE = {"pre_context", "context_line", "post_context"}
NOT_SENT = "DEBUG Failed to capture and send error to Sentry"
GIVEN_UP = "WARNING Sentry has delayed the jobs for too long: no more errors are sent to it in this run"
NO_DSN = "WARNING sentry.dsn is not a valid DSN: write https://KEY @ HOST/PROJECT without spaces; errors are not sent to Sentry"


def load_raven() -> ModuleType:
    import raven

    return raven


def raised(error: BaseException) -> BaseException:
    """Return `error` with a traceback of two frames."""

    def job() -> None:
        raise error

    try:
        job()
    except BaseException as caught:
        return caught
    raise AssertionError("not reached")


class Log:
    """A logger whose lines can be compared."""

    def __init__(self) -> None:
        self.logger = logging.Logger("test")
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        self.logger.addHandler(handler)

    def text(self) -> str:
        return self._stream.getvalue()

    def lines(self, *levels: str) -> list[str]:
        return [line for line in self.text().splitlines() if line.startswith(levels)]


class TestSentry(unittest.TestCase):
    CLIENT = "raven"
    PATH = "/api/14/store/"

    def setUp(self) -> None:
        self.log = Log()
        # Messages go only to the log: nothing on the streams, even with warnings on and logging unconfigured.
        self.enterContextManager(mock.patch("sys.stderr", stderr := io.StringIO()))
        self.addCleanup(lambda: self.assertEqual(stderr.getvalue(), ""))

    def enterContextManager(self, manager: Any) -> Any:
        entered = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return entered

    def receiver(self, *arguments: Any, **options: Any) -> SentryReceiver:
        return self.enterContextManager(SentryReceiver(*arguments, **options))

    def sentry(self, dsn: str | None, **options: Any) -> Sentry:
        return Sentry(dsn, RELEASE, load_raven, self.log.logger, client=self.CLIENT, **options)

    # What arrives

    def test_it_sends_the_error_with_its_context_and_logs_the_reference(self) -> None:
        receiver = self.receiver()

        self.sentry(receiver.dsn()).report(raised(ValueError("no luck")), "foo-app")

        (received,) = receiver.received
        (exception,) = received.event["exception"]["values"]
        names = (exception["module"] or "builtins", exception["type"], exception["value"])
        self.assertEqual(names, ("builtins", "ValueError", "no luck"))
        frames = exception["stacktrace"]["frames"]
        self.assertEqual([frame["function"] for frame in frames], ["raised", "job"])
        self.assertEqual(set(frames[-1]) & SOURCE, set())
        self.assertEqual(received.event["tags"], {"app_name": "foo-app"})
        self.assertEqual(received.event["release"], RELEASE)
        self.assertEqual(received.path, self.PATH)
        self.assertEqual((received.auth["sentry_key"], received.auth["sentry_secret"]), (KEY, SECRET))
        reference = f"INFO Error captured in Sentry. Reference: {received.event['event_id']}"
        self.assertEqual(self.log.lines("INFO", "WARNING", "ERROR"), [reference])

    def test_it_sends_lines_of_source_only_if_asked_to(self) -> None:
        receiver = self.receiver()

        self.sentry(receiver.dsn(), send_source=True).report(raised(ValueError()), "foo-app")

        frames = receiver.events()[0]["exception"]["values"][0]["stacktrace"]["frames"]
        self.assertEqual(frames[-1]["context_line"].strip(), "raise error")

    def test_it_sends_the_causes_too(self) -> None:
        receiver = self.receiver()
        try:
            try:
                raise KeyError("first")
            except KeyError as error:
                raise ValueError("second") from error
        except ValueError as error:
            self.sentry(receiver.dsn()).report(error, "foo-app")

        values = receiver.events()[0]["exception"]["values"]
        chain = [(each["type"], each["value"]) for each in values]
        self.assertEqual(chain, [("KeyError", "'first'"), ("ValueError", "second")])

    def test_it_sends_the_same_error_again_when_it_happens_again(self) -> None:
        receiver = self.receiver()
        sentry = self.sentry(receiver.dsn())
        error = raised(ValueError("always the same"))

        for app_name in ("one", "two", "three"):
            sentry.report(error, app_name)

        self.assertEqual([event["tags"]["app_name"] for event in receiver.events()], ["one", "two", "three"])

    def test_it_does_nothing_without_a_dsn(self) -> None:
        def load() -> ModuleType:
            raise AssertionError("raven is loaded without a DSN")

        for dsn in (None, "", "  "):
            with self.subTest(dsn=dsn), mock.patch.dict(os.environ, {"SENTRY_DSN": "http://a@127.0.0.1:1/1"}):
                Sentry(dsn, RELEASE, load, self.log.logger).report(raised(ValueError()), "foo-app")

        self.assertEqual(self.log.text(), "")

    def test_it_uses_only_the_methods_of_raven_that_fakes_have(self) -> None:
        class Client:
            def __init__(self, dsn: str, **options: Any) -> None:
                self.dsn = dsn

            def captureException(self, *arguments: Any, **options: Any) -> str:
                return f"id at {self.dsn}"

            def get_ident(self, identifier: str) -> str:
                return f"reference of {identifier}"

        fake: Any = SimpleNamespace(Client=Client)
        Sentry("a fake DSN", RELEASE, lambda: fake, self.log.logger).report(raised(ValueError()), "foo-app")

        line = "INFO Error captured in Sentry. Reference: reference of id at a fake DSN\n"
        self.assertEqual(self.log.text(), line)

    def test_a_mock_may_take_the_place_of_raven(self) -> None:
        raven = mock.MagicMock()
        raven.Client.return_value.get_ident.return_value = "an-id"

        Sentry("a fake DSN", RELEASE, lambda: raven, self.log.logger).report(raised(ValueError()), "foo-app")

        self.assertEqual(self.log.text(), "INFO Error captured in Sentry. Reference: an-id\n")
        raven.Client.return_value.captureException.assert_called_once()

    def test_a_mock_may_take_the_place_of_raven_in_a_test_event_too(self) -> None:
        raven = mock.MagicMock()
        raven.Client.return_value.get_ident.return_value = "an-id"

        reference = Sentry("a fake DSN", RELEASE, lambda: raven, self.log.logger).send_test()

        self.assertEqual(reference, "an-id")
        raven.Client.return_value.captureMessage.assert_called_once()

    # Secrets

    def test_no_secret_is_sent_or_logged(self) -> None:
        secrets = {
            "a local variable": "gAmMa1Local",
            "sys.argv": "gAmMa2Argv",
            "PGPASSWORD": "gAmMa3Pg",
            "another variable of the environment": "gAmMa4/Env",
            "a URL": "gAmMa5@Url",
            "a conninfo string": "gAmMa6Conninfo",
            "a quoted conninfo string": "gAmMa7 Quo\\'ted",
            "a repr of options": "gAmMa8Repr",
            "JSON in a string": "gAmMa9Json",
            "a text that the application masks": "gAmMa10Config",
            "the DSN's key": KEY,
            "the DSN's secret": SECRET,
        }
        values = list(secrets.values())
        text = textwrap.dedent(f"""
            {values[2]} gAmMa4%2FEnv {values[3]} {values[9]} {KEY} {SECRET}
            postgres://someone:{values[4]}@db.example/x host=db password={values[5]} dbname=x
            password = '{values[6]}' {{'secret': '{values[7]}', "n": 1}} "{{\\"password\\": \\"{values[8]}\\"}}"
        """)
        environment = {"PGPASSWORD": values[2], "crontabber.class-Foo.api_token": values[3]}
        receivers = [self.receiver(), self.receiver(403, {"X-Sentry-Error": f"key {KEY} unknown"})]

        def job(password: str) -> None:
            _ = "host=db password=gAmMa11Source"
            raise ValueError(text + receivers[0].dsn())

        with mock.patch.dict(os.environ, environment), mock.patch("sys.argv", ["crontabber", f"--x={values[1]}"]):
            for receiver in receivers:
                try:
                    job(values[0])
                except ValueError as error:
                    sentry = self.sentry(receiver.dsn(), mask=lambda text: text.replace(values[9], "****"))
                    sentry.report(error, "foo-app")

        sent = "".join(received.text for receiver in receivers for received in receiver.received)
        for where, secret in secrets.items():
            with self.subTest(where=where):
                self.assertNotIn(secret, sent)
                self.assertNotIn(secret, self.log.text())
        self.assertNotIn("gAmMa", sent)
        self.assertNotIn("gAmMa", self.log.text())
        self.assertIn("host=db password=**** dbname=x", sent)

    def test_the_key_does_not_follow_a_redirect(self) -> None:
        for status in (301, 302, 303, 307, 308):
            with self.subTest(status=status):
                elsewhere = self.receiver()
                target = elsewhere.dsn().replace(f"{KEY}:{SECRET}@", "")
                receiver = self.receiver(status, {"Location": target})

                self.sentry(receiver.dsn()).report(raised(ValueError()), "foo-app")

                self.assertEqual((len(receiver.received), elsewhere.received), (1, []))
        self.assertEqual(self.log.lines("DEBUG Failed"), [NOT_SENT] * 5)

    # A Sentry that does not work

    def test_a_server_that_refuses_reports_costs_one_debug_line(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            free_port = unused.getsockname()[1]
        cases = {
            "answers 500": self.receiver(500).dsn(),
            "answers 429": self.receiver(429, {"Retry-After": "3600"}).dsn(),
            "answers 403 with control characters": self.receiver(403, {"X-Sentry-Error": "\x1b[2Jno\x00"}).dsn(),
            "answers garbage": self.receiver("garbage").dsn(),
            "speaks no TLS": self.receiver().dsn().replace("http", "https"),
            "is down": f"http://{KEY}:{SECRET}@127.0.0.1:{free_port}/1",
            "has no address": f"http://{KEY}:{SECRET}@nowhere.invalid/1",
            "has an impossible port": f"http://{KEY}:{SECRET}@127.0.0.1:99999/1",
        }
        if self.CLIENT == "raven":
            cases["has an odd option"] = self.receiver().dsn("?timeout=soon")
        for which, dsn in cases.items():
            with self.subTest(which=which):
                log = self.log = Log()

                self.sentry(dsn).report(raised(ValueError()), "foo-app")

                self.assertEqual(log.lines("DEBUG Failed", "INFO", "WARNING", "ERROR"), [NOT_SENT])
                self.assertIn("Traceback", log.text())
                self.assertNotIn(KEY, log.text())
                self.assertNotIn(SECRET, log.text())

    def test_a_slow_server_delays_the_jobs_no_longer_than_the_patience(self) -> None:
        receivers = {"does not answer": self.receiver(None), "drips": self.receiver("drip")}
        for which, receiver in receivers.items():
            with self.subTest(which=which):
                log = self.log = Log()
                sentry = self.sentry(receiver.dsn(), patience=0.5)
                started = time.monotonic()

                for _ in range(100):
                    sentry.report(raised(ValueError()), "foo-app")

                assert_within(1.5, time.monotonic() - started)
                self.assertEqual(log.lines("DEBUG Failed", "WARNING"), [GIVEN_UP, NOT_SENT])
                self.assertEqual(len(receiver.received), 1)

    def test_it_keeps_reporting_many_failures_to_a_server_that_answers(self) -> None:
        receiver = self.receiver(delay=0.02)
        sentry = self.sentry(receiver.dsn(), patience=0.3)

        for _ in range(30):
            sentry.report(raised(ValueError()), "foo-app")

        self.assertEqual((len(receiver.received), self.log.lines("WARNING")), (30, []))

    def test_a_malformed_dsn_is_reported_once_and_never_quoted(self) -> None:
        cases = [
            "no dsn", KEY, f"https//{KEY}:{SECRET}@h/1", f"https://{KEY}:{SECRET}@/1", f"https://{KEY}:{SECRET}@h",
            f"https://{KEY}:{SECRET}@h/", f"https://h/{KEY}", f"gopher://{KEY}@127.0.0.1/1", f"file://{KEY}@h/etc/1",
            f"http://{KEY}:{SECRET}@h:port/1", f"http://{KEY}\r\nX: y:{SECRET}@127.0.0.1:1/1", f"://{KEY}@h/1",
            f"http://{KEY}:{SECRET}@[::1/1", f"http://{KEY}ключ:{SECRET}@127.0.0.1:1/1", f"http://{KEY} {SECRET}@h/1",
        ]  # fmt: skip
        for dsn in cases:
            with self.subTest(dsn=dsn):
                log = self.log = Log()
                sentry = self.sentry(dsn)

                for _ in range(3):
                    sentry.report(raised(ValueError()), "foo-app")

                self.assertEqual(log.lines("INFO", "WARNING", "ERROR", "DEBUG Failed"), [NO_DSN, NOT_SENT])
                self.assertNotIn(KEY, log.text())
                self.assertNotIn(SECRET, log.text())

    def test_a_missing_or_broken_raven_raises_no_error(self) -> None:
        def missing() -> ModuleType:
            raise ImportError("no raven here")

        broken: Any = lambda: SimpleNamespace()  # noqa: E731
        for load in (missing, broken):
            with self.subTest(load=load):
                Sentry("http://a@h/1", RELEASE, load, self.log.logger).report(raised(ValueError()), "foo-app")

        self.assertEqual(self.log.lines("DEBUG Failed"), [NOT_SENT] * 2)

    def test_a_thread_that_cannot_start_raises_no_error(self) -> None:
        sentry = self.sentry(self.receiver().dsn())
        with mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")):
            sentry.report(raised(ValueError()), "foo-app")

        self.assertEqual(self.log.lines("DEBUG Failed", "INFO", "WARNING"), [NOT_SENT])

    def test_the_short_keys_of_a_test_dsn_mask_no_words(self) -> None:
        receiver = self.receiver()

        self.sentry(receiver.dsn().replace(f"{KEY}:{SECRET}", "a:b")).report(raised(ValueError("a or b")), "foo-app")

        (received,) = receiver.received
        self.assertEqual(received.event["exception"]["values"][0]["value"], "a or b")

    def test_a_failing_mask_sends_nothing_and_raises_no_error(self) -> None:
        def mask(text: str) -> str:
            raise MemoryError

        receiver = self.receiver()
        self.sentry(receiver.dsn(), mask=mask).report(raised(ValueError()), "foo-app")

        self.assertEqual(receiver.received, [])
        self.assertEqual(self.log.lines("DEBUG Failed", "INFO", "WARNING"), [NOT_SENT])

    def test_ravens_own_log_lines_appear_at_debug(self) -> None:
        def load() -> ModuleType:
            logging.getLogger("sentry.errors.uncaught").error("cannot send with %s", KEY)
            return load_raven()

        handler = logging.StreamHandler(elsewhere := io.StringIO())
        logging.getLogger().addHandler(handler)
        self.addCleanup(logging.getLogger().removeHandler, handler)
        Sentry(self.receiver().dsn(), RELEASE, load, self.log.logger).report(raised(ValueError()), "foo-app")

        self.assertEqual(self.log.lines("DEBUG"), ["DEBUG sentry.errors.uncaught: cannot send with ****"])
        self.assertEqual(elsewhere.getvalue(), "")

    # Errors that misbehave

    def test_it_reports_errors_that_misbehave(self) -> None:
        class Silent(Exception):
            def __str__(self) -> str:
                raise RuntimeError("ask someone else")

            __repr__ = __str__

        class Quitter(Exception):
            def __str__(self) -> str:
                sys.exit(3)

        class Unhashable(Exception):
            def __eq__(self, other: object) -> bool:
                return True

            def __bool__(self) -> bool:
                raise RuntimeError

        class Meta(type):
            __name__ = property(lambda self: 1 / 0)  # type: ignore[assignment]

        class Nameless(Exception, metaclass=Meta):
            __module__ = 7  # type: ignore[assignment]

        cases: list[tuple[BaseException, str, str]] = [
            (Silent(), "Silent", "<an exception whose str() raises>"),
            (Quitter(), "Quitter", "<an exception whose str() raises>"),
            (Unhashable("x"), "Unhashable", "x"),
            (Nameless("x"), "<an exception class whose name raises>", "x"),
            (ValueError("a\x00b\ud800c"), "ValueError", "a\\x00b\\ud800c"),
            (SystemExit(3), "SystemExit", "3"),
            (MemoryError(), "MemoryError", ""),
            (ValueError("x" * 10_000_000), "ValueError", ""),
        ]
        for error, type_name, value in cases:
            with self.subTest(type=type_name):
                receiver = self.receiver()

                self.sentry(receiver.dsn()).report(raised(error), "foo-app")

                (exception,) = receiver.events()[0]["exception"]["values"]
                self.assertEqual(exception["type"], type_name)
                self.assertEqual(exception["value"] if len(exception["value"]) < 1000 else "", value)
                self.assertLess(len(receiver.received[0].text), 40_000)

    def test_it_sends_an_endless_recursion_well_within_its_patience(self) -> None:
        def endless() -> None:
            endless()

        receiver = self.receiver()
        try:
            endless()
        except RecursionError as error:
            self.sentry(receiver.dsn(), patience=2).report(error, "foo-app")

        (event,) = receiver.events()
        frames = event["exception"]["values"][0]["stacktrace"]["frames"]
        self.assertGreater(len(frames), 900)
        # The lines around a frame are sent only for both ends.
        self.assertLess(sum("pre_context" in frame for frame in frames), 50)
        self.assertLess(len(receiver.received[0].text), 500_000)

    def test_it_follows_circular_causes_once_and_at_most_ten_deep(self) -> None:
        for length, sent in [(1, 1), (3, 3), (1000, 10)]:
            with self.subTest(length=length):
                errors = [ValueError(str(number)) for number in range(length)]
                for error, cause in zip(errors, errors[1:] + errors[:1], strict=True):
                    error.__cause__ = cause
                receiver = self.receiver()

                self.sentry(receiver.dsn()).report(errors[0], "foo-app")

                values = receiver.events()[0]["exception"]["values"]
                self.assertEqual([each["value"] for each in values], [str(number) for number in reversed(range(sent))])

    def test_an_error_with_an_endless_str_delays_nothing(self) -> None:
        class Slow(Exception):
            def __str__(self) -> str:
                time.sleep(60)
                return ""

        started = time.monotonic()
        self.sentry(self.receiver().dsn(), patience=0.3).report(raised(Slow()), "foo-app")

        assert_within(2, time.monotonic() - started)
        self.assertEqual(self.log.lines("DEBUG Failed", "WARNING"), [GIVEN_UP, NOT_SENT])

    # --sentrytest

    def test_the_test_message_arrives_and_its_identifier_is_returned_and_logged(self) -> None:
        receiver = self.receiver()

        identifier = self.sentry(receiver.dsn()).send_test()

        (event,) = receiver.events()
        self.assertEqual(identifier, event["event_id"])
        self.assertEqual(event["message"], "crontabber was asked to test its connection to Sentry")
        self.assertEqual(self.log.lines("INFO"), [f"INFO Sentry successful identifier: {identifier}"])

    def test_a_test_without_a_usable_sentry_reports_the_reason(self) -> None:
        receiver = self.receiver(401, {"X-Sentry-Error": "\x1b[2Jthat key\tis unknown"})
        cases = [
            (None, SentryConfigurationError, "cannot test Sentry: sentry.dsn is not set"),
            ("nonsense", SentryConfigurationError, "sentry.dsn is not a valid DSN: write https://KEY @ HOST/PROJECT without spaces"),
            (
                receiver.dsn(),
                SentryDeliveryError,
                "Sentry at 127.0.0.1 did not accept the report: Refused: it answered 401 ( [2Jthat key is unknown)",
            ),
            (self.receiver(None).dsn(), SentryDeliveryError, "Sentry at 127.0.0.1 did not accept the report: it took too long"),
        ]
        for dsn, error_class, text in cases:
            with self.subTest(dsn=dsn), self.assertRaises(error_class) as caught:
                self.sentry(dsn, patience=0.5).send_test()
            self.assertIn(str(caught.exception), (text, text.replace("it took too long", "TimeoutError: timed out")))

    # TLS

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed: no certificate to test with")
    def test_it_accepts_only_tls_servers_with_a_trusted_certificate(self) -> None:
        certificate = self._certificate()
        receiver = self.enterContextManager(SentryReceiver().with_certificate(certificate))
        cases = [
            (receiver.dsn(f"?ca_certs={certificate}"), 1),
            (receiver.dsn(f"?ca_certs={certificate}", host="localhost"), 1),  # The certificate is for the IP address.
            (receiver.dsn(), 1),
            (receiver.dsn("?verify_ssl=0"), 2),
            (receiver.dsn().replace("https", "sync+https") + f"?ca_certs={certificate}", 3),
        ]
        for dsn, received in cases:
            with self.subTest(dsn=dsn):
                self.sentry(dsn).report(raised(ValueError()), "foo-app")

                self.assertEqual(len(receiver.received), received)

    def _certificate(self) -> str:
        directory = self.enterContextManager(tempfile.TemporaryDirectory())
        path = os.path.join(directory, "both.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path + ".key", "-out", path + ".crt"],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        Path(path).write_text(Path(path + ".key").read_text() + Path(path + ".crt").read_text())
        return path


class TestSentryInAProcess(unittest.TestCase):
    """In a process of its own: what it prints, and that it can end at once."""

    def run_python(self, lines: str, *arguments: str) -> subprocess.Popen[str]:
        script = textwrap.dedent("""
            import os, signal, sys, time
            from crontabber.process.signals import INTERRUPTION
            from crontabber.engine.sentry import Sentry

            class Logger:
                def info(self, text, *arguments, **options): print(text.partition(":")[0], flush=True)
                def debug(self, text, *arguments, **options): pass
                def warning(self, text, *arguments, **options): print(text, flush=True)

            def load_raven():
                import raven
                return raven

            sentry = Sentry(sys.argv[1], "1.0", load_raven, Logger())
        """) + textwrap.dedent(lines)
        return subprocess.Popen(
            [sys.executable, "-W", "always", "-c", script, *arguments], cwd=ROOT, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def test_reports_are_sent_before_the_process_ends(self) -> None:
        lines = 'sentry.report(ValueError("x"), "foo-app"); os.kill(os.getpid(), signal.SIGKILL)'
        with SentryReceiver() as receiver:
            process = self.run_python(lines, receiver.dsn())
            streams = process.communicate(timeout=30)

        self.assertEqual(streams, ("Error captured in Sentry. Reference\n", ""))
        self.assertEqual(len(receiver.received), 1)

    def test_a_failure_prints_nothing_and_the_process_ends_at_once(self) -> None:
        for answers in (500, 429, None, "drip"):
            with self.subTest(answers=answers), SentryReceiver(answers) as receiver:
                process = self.run_python('sentry._patience = 0.5; sentry.report(ValueError(), "x")', receiver.dsn())
                started = time.monotonic()
                _, stderr = process.communicate(timeout=30)

                self.assertEqual((process.returncode, stderr), (0, ""))
                assert_within(4, time.monotonic() - started)

    def test_the_hooks_of_the_process_are_left_alone(self) -> None:
        lines = """
            import http.client, logging, warnings
            def hooks():
                loggers = [logging.getLogger(name) for name in ("raven", "sentry.errors")]
                return [
                    sys.excepthook, logging.Logger.error, logging.Logger.log, http.client.HTTPConnection.putrequest,
                    http.client.HTTPConnection.getresponse, warnings.showwarning, warnings.filters[:],
                    [(each.handlers[:], each.propagate) for each in loggers],
                ]
            before = hooks()
            for dsn in sys.argv[1:]:
                Sentry(dsn, "1.0", load_raven, Logger()).report(ValueError("x"), "foo-app")
            print(hooks() == before)
        """
        with SentryReceiver() as good, SentryReceiver(500) as bad:
            streams = self.run_python(lines, good.dsn(), bad.dsn(), "nonsense").communicate(timeout=30)

        self.assertEqual((streams[0].splitlines()[-1], streams[1]), ("True", ""))

    def test_a_signal_cuts_the_wait_short(self) -> None:
        remembered = """
            with INTERRUPTION.handled(lambda: None), INTERRUPTION.allowed(), INTERRUPTION.deferred():
                print("ready", flush=True)
                sentry.report(ValueError(), "foo-app")
                print("after", flush=True)
        """
        raised_at_once = """
            with INTERRUPTION.handled(lambda: None), INTERRUPTION.allowed():
                print("ready", flush=True)
                sentry.report(ValueError(), "foo-app")
                print("after", flush=True)
        """
        cases = [(remembered, ["ready", "after"]), (raised_at_once, ["ready"])]
        for lines, printed in cases:
            with self.subTest(printed=printed), SentryReceiver(None) as receiver:
                process = self.run_python(lines, receiver.dsn())
                while not receiver.received:
                    time.sleep(0.02)
                process.send_signal(signal.SIGTERM)
                sent = time.monotonic()
                stdout, stderr = process.communicate(timeout=30)

                assert_within(1, time.monotonic() - sent)
                self.assertEqual([line for line in stdout.splitlines() if line in ("ready", "after")], printed)
                self.assertIn("Interrupted", stderr.splitlines()[-1])
