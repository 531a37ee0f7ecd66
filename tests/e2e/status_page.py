"""The status page in Debian's chromium: what readers see, what their screen readers and keyboards find, what runs."""

import re
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.e2e.browser import Browser, skip_without_browser
from tests.integration.mode_case import JOBS, ModeTestCase
from tests.support import wait_until

PHONE, DESKTOP = (390, 844), (1280, 900)
HOSTILE = "</title></svg><script>pwned=1</script><img src=x onerror=pwned=1><svg onload=pwned=1> \"'><a href=javascript:pwned=1>"
MORE_JOBS = f"""

class Hostile(Sad):
    app_name = {HOSTILE!r}

    def run(self):
        raise ValueError({HOSTILE!r})


class After(Noting):
    app_name = "after-" + {HOSTILE!r}
    depends_on = {HOSTILE!r}
"""
EVERY_STATE = "nightly.Foo|1d,nightly.Bar|1d,nightly.Sad|1d,nightly.SadChild|1d,nightly.Back|1d,no.Such|1d"
# Writes the page as it was some minutes ago.
EARLIER = """
import sys
from datetime import timedelta
from crontabber.app import CronTabber, main

class Application(CronTabber):
    minutes = float(sys.argv.pop(1))

    def current_time(self):
        return super().current_time() - timedelta(minutes=self.minutes)

main(Application)
"""
# The least contrast between a text and what is behind it, by the Web Content Accessibility Guidelines.
CONTRAST = 4.5
CONTRASTS = """(() => {
  const channel = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(channel);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = node => { for (; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    if (colour && !colour.endsWith(", 0)")) { return colour; } } return "rgb(255, 255, 255)"; };
  const found = [];
  for (const node of document.querySelectorAll("h1, h2, p, li, th, td, b, small, a, footer")) {
    if (!node.textContent.trim() || node.closest("svg") || node.hidden) { continue; }
    const [a, b] = [light(getComputedStyle(node).color), light(behind(node))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.outerHTML.slice(0, 80)]);
  }
  for (const box of document.querySelectorAll("defs g")) {
    const [a, b] = ["text", "rect"].map(part => light(getComputedStyle(box.querySelector(part)).fill));
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), box.id]);
  }
  return found;
})()"""
FOCUSED = "(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent).trim()"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and remembers what was asked for."""

    paths: list[str] = []

    def do_GET(self) -> None:
        self.paths.append(self.path)
        super().do_GET()

    def log_message(self, *arguments: Any) -> None:
        pass


class StatusPageCase(ModeTestCase):
    browser: Browser

    @classmethod
    def setUpClass(cls) -> None:
        skip_without_browser()
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self) -> None:
        super().setUp()
        self.write_module("nightly", JOBS + MORE_JOBS)
        self.page = self.folder / "status.html"
        self.browser.resize(*DESKTOP)

    def write(self, jobs: str = EVERY_STATE, **options: Any) -> None:
        self.ini(jobs, **options)
        self.crontabber()
        self.assertEqual(self.crontabber(f"--status-page={self.page}").returncode, 0)

    def write_earlier(self, minutes: float) -> None:
        """Write the page as it was so many minutes ago."""
        arguments = [f"--admin.conf={self.folder}/crontabber.ini", f"--status-page={self.page}"]
        process = self.start_program([sys.executable, "-c", EARLIER, str(minutes), *arguments])
        _, stderr = process.communicate()
        self.assertEqual(process.returncode, 0, stderr)

    def banner(self) -> str | None:
        # While the page loads itself again, there is none.
        return self.browser.value("(old => old && !old.hidden ? old.innerText : null)(document.getElementById('old'))")


class TestStatusPage(StatusPageCase):
    def test_nothing_complains_and_nothing_is_asked_for_but_the_page(self) -> None:
        self.write()
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(self.folder)))
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        Quiet.paths.clear()

        for address in (self.page.as_uri(), f"http://127.0.0.1:{server.server_port}/status.html"):
            self.browser.open(address)
            self.browser.screenshot(self.folder / "shown.png")

            self.assertEqual(self.browser.errors(), [])
            self.assertEqual([url for url in self.browser.requests() if not url.startswith("data:")], [address])
        self.assertEqual(Quiet.paths, ["/status.html"])

    def test_it_fits_a_phone_and_a_desktop(self) -> None:
        self.write(",".join([EVERY_STATE, "nightly.Hostile|1d,nightly.After|1d"]), status_page_errors="yes")

        for size in (PHONE, DESKTOP):
            self.browser.resize(*size)
            self.browser.open(self.page)

            self.assertEqual(self.browser.value("document.documentElement.scrollWidth"), size[0])

    def test_every_text_can_be_read_in_light_and_in_dark(self) -> None:
        self.write(status_page_errors="yes")
        backgrounds = set()
        for dark in (False, True):
            self.browser.resize(*DESKTOP, dark=dark)
            self.browser.open(self.page)

            faint = [each for each in self.browser.value(CONTRASTS) if each[0] < CONTRAST]

            self.assertEqual(faint, [], "dark" if dark else "light")
            backgrounds.add(self.browser.value("getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(len(backgrounds), 2)

    def test_a_screen_reader_finds_a_picture_with_a_name_and_the_table(self) -> None:
        self.write()
        self.browser.open(self.page)

        nodes = self.browser.nodes()

        verdict = self.browser.value("document.querySelector('h1').textContent")
        self.assertIn(("heading", verdict), nodes)
        pictures = [name for role, name in nodes if role == "image" and name.startswith(verdict)]
        self.assertEqual(pictures, [f"{verdict}. The table below says the same, and what each job depends on."])
        titles = [name for role, name in nodes if role == "columnheader"]
        self.assertEqual(titles[:8], ["State", "Job", "Next", "In", "Last", "Took", "Last runs", "Why"])
        rows = [name for role, name in nodes if role == "rowheader"]
        self.assertEqual(set(rows[:6]), {"no.Such", "back", "foo", "sad", "bar after foo", "sad-child after sad"})
        self.assertIn(("cell", "✗ failing"), nodes)
        self.assertTrue(any(role == "image" and re.match(r"1 run, up to .*, 1 failed", name) for role, name in nodes))

    def test_on_a_phone_the_table_is_still_a_table(self) -> None:
        self.write()
        self.browser.resize(*PHONE)
        self.browser.open(self.page)

        roles = [role for role, _ in self.browser.nodes()]

        self.assertGreaterEqual(roles.count("rowheader"), 6)
        self.assertIn("columnheader", roles)

    def test_the_keyboard_reaches_everything_without_going_through_the_picture(self) -> None:
        self.write()
        self.browser.open(self.page)

        stops = []
        for _ in range(5):
            self.browser.press("Tab", 9)
            stops.append(self.browser.value(FOCUSED))

        self.assertEqual(stops[:4], ["no.Such", "sad", "Skip the picture: the table says the same", "Picture of the jobs"])
        self.assertNotIn("foo", stops[4:])

    def test_a_link_of_the_keyboard_leads_to_the_row_of_the_job(self) -> None:
        self.write()
        self.browser.open(self.page)
        for _ in range(2):
            self.browser.press("Tab", 9)

        self.browser.press("Enter", 13)

        wait_until(lambda: self.browser.value("document.querySelector('tr:target')?.cells[1].textContent") == "sad", "no target")

    def test_the_skip_link_shows_when_it_has_the_focus(self) -> None:
        self.write()
        self.browser.open(self.page)
        left = "document.querySelector('.skip').getBoundingClientRect().left"
        self.assertLess(self.browser.value(left), 0)

        self.browser.value("document.querySelector('.skip').focus()")

        self.assertGreaterEqual(self.browser.value(left), 0)

    def test_hostile_names_errors_and_reasons_are_only_shown(self) -> None:
        self.ini("nightly.Hostile|1d,nightly.After|1d,nightly.Foo|1d", status_page_errors="yes")
        self.crontabber()
        self.crontabber("--pause=foo", f"--reason={HOSTILE}", "--yes")
        self.crontabber(f"--status-page={self.page}")

        self.browser.open(self.page)
        for link in range(self.browser.value("document.links.length")):
            self.browser.value(f"document.links[{link}].click()")

        self.assertEqual(self.browser.value("typeof pwned"), "undefined")
        self.assertEqual(self.browser.errors(), [])
        self.assertEqual([url for url in self.browser.requests() if "#" not in url], [self.page.as_uri()])
        text = self.browser.value("document.body.innerText")
        self.assertIn(f"({HOSTILE})", text)
        self.assertEqual(self.browser.value("document.querySelectorAll('img, script:not(:last-of-type), [onload]').length"), 0)

    def test_a_script_that_someone_smuggles_in_does_not_run(self) -> None:
        self.write()
        self.page.write_text(self.page.read_text().replace("<footer>", "<script>pwned=1</script><footer onclick=pwned=1>"))

        self.browser.open(self.page)
        self.browser.value("document.querySelector('footer').click()")

        self.assertEqual(self.browser.value("typeof pwned"), "undefined")
        self.assertEqual(len([error for error in self.browser.errors() if "Content Security Policy" in error]), 2)


class TestOldPage(StatusPageCase):
    def test_a_page_older_than_two_ticks_says_so_in_words_and_in_red(self) -> None:
        self.write("nightly.Foo|1d")
        for minutes, age in ((9, None), (11, "11 minutes"), (300, "5 hours"), (4321, "3 days")):
            with self.subTest(minutes):
                self.write_earlier(minutes)

                self.browser.open(self.page)

                banner, title = self.banner(), self.browser.value("document.title")
                if age is None:
                    self.assertEqual((banner, title[:4] == "OLD:"), (None, False))
                    continue
                self.assertEqual(
                    banner,
                    f"This page is {age} old. crontabber should have written a new one every 5 minutes: is cron running?"
                    f" What follows was true {age} ago.",
                )
                self.assertTrue(title.startswith("OLD: "))
                self.assertIn("alert", [role for role, _ in self.browser.nodes()])
                colour = "getComputedStyle(document.getElementById('old')).backgroundColor"
                self.assertEqual(self.browser.value(colour), "rgb(179, 21, 15)")
                self.assertEqual(self.browser.errors(), [])

    def test_how_old_it_may_be_depends_on_the_interval_of_ticks(self) -> None:
        self.write("nightly.Foo|1d", tick_interval="1h")
        for minutes, is_old in ((110, False), (130, True)):
            self.write_earlier(minutes)

            self.browser.open(self.page)

            self.assertEqual(self.banner() is not None, is_old, minutes)

    def test_a_page_left_open_turns_red_or_shows_the_new_one(self) -> None:
        self.write("nightly.Foo|1d", tick_interval="2s")
        self.browser.open(self.page)
        self.assertIsNone(self.banner())

        wait_until(self.banner, "it did not turn red")
        self.ini("nightly.Foo|1d,nightly.Bar|1d", tick_interval="1h")
        self.crontabber(f"--status-page={self.page}")

        wait_until(lambda: self.browser.value("document.querySelector('h1')?.textContent || ''").startswith("2 jobs"), "no new page")
        self.assertIsNone(self.banner())
