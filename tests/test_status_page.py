"""The text of the status page: what it contains, and that nothing in it can do more than be read."""

import base64
import hashlib
import re
import unittest
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser

from crontabber.output.status_page import JobFacts, Page, render_page
from crontabber.rules.health import STATES
from crontabber.store.history import LoggedRun, RecentRuns

NOW = datetime(2026, 11, 27, 9, 15, tzinfo=timezone.utc)
HOSTILE = """</title><script>alert(1)</script><img src=x onerror=alert(1)>"' onmouseover='alert(1)' &amp;"""
KIBIBYTES = 500


def job(name, state="ok", depends_on=(), why="", **facts):
    return JobFacts((state, name, "2026-11-27 10:00", "45m", "2026-11-27 09:00", "1.0s", why), depends_on, **facts)


def runs(*seconds, failed=()):
    return RecentRuns(seconds, [number in failed for number in range(len(seconds))], None, NOW)


def page(*jobs, **facts):
    given = {"app_name": "crontabber", "host": "db1", "verdict": f"{len(jobs)} jobs", "tick": timedelta(minutes=5)}
    return render_page(Page(**given | {"now": NOW, "zone": timezone.utc, "jobs": jobs} | facts))


class Parsed(HTMLParser):
    """What a browser makes of the page: its elements with their attributes, and the text in each kind of element."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if data.strip() and self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


class TestContent(unittest.TestCase):
    def test_each_job_is_in_the_picture_and_in_the_table_once(self):
        names = [f"job-{i}" for i in range(20)]

        text = page(*(job(name, depends_on=names[i - 1 : i] if i else ()) for i, name in enumerate(names)))

        parsed = Parsed(text)
        self.assertEqual([name for name in parsed.texts["th"] if name.startswith("job-")], names)
        self.assertEqual([title.partition(":")[0] for title in parsed.texts["title"][1:]], names)
        ids = [row["id"] for row in parsed.all("tr") if "id" in row]
        self.assertEqual([link["href"] for link in parsed.all("a") if "tabindex" in link], [f"#{each}" for each in ids])

    def test_the_table_says_what_the_picture_shows_about_dependencies(self):
        text = page(job("a"), job("b"), job("c", depends_on=["a", "b"]))

        self.assertIn('<th scope="row">c<small>after a, b</small>', text)
        self.assertEqual(len([path for path in Parsed(text).all("path") if path.get("class") == "edge"]), 2)

    def test_an_edge_to_a_job_that_waits_for_one_that_is_not_well_differs(self):
        text = page(job("a", "failing"), job("b", "held back", ["a"]))

        self.assertIn('<path class="waits"', text)

    def test_each_state_has_a_colour_a_symbol_and_a_word(self):
        symbols = set()
        for state in STATES:
            parsed = Parsed(page(job("a", state)))
            [cell] = [text for text in parsed.texts["td"] if state in text]
            symbols.add(cell.partition(" ")[0])
            self.assertIn(state.replace(" ", "-"), [each.get("class") for each in parsed.all("td")])
            self.assertEqual([text for text in parsed.texts["text"] if state in text], [cell.strip()])
        self.assertEqual(len(symbols), len(STATES))

    def test_many_jobs_are_symbols_whose_names_are_in_the_titles(self):
        parsed = Parsed(page(*(job(f"job-{i}", "paused") for i in range(151))))

        self.assertEqual(parsed.texts["text"], ["‖"])
        self.assertIn("job-150: paused", parsed.texts["title"])

    def test_it_begins_with_what_needs_attention_the_worst_first(self):
        jobs = job("a"), job("b", "failing", since="2026-11-26 09:00", why="failed once"), job("c", "broken", why="see it")

        [listed] = re.findall(r'<ul class="card trouble">(.*?)</ul>', page(*jobs), re.DOTALL)

        self.assertEqual(
            re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", listed)).strip(),
            "⊗ broken : c see it ✗ failing since 2026-11-26 09:00: b failed once",
        )

    def test_it_does_not_list_more_than_anybody_reads(self):
        text = page(*(job(f"job-{i}", "failing") for i in range(30)))

        self.assertIn("and 10 more, which the table shows", text)

    def test_the_bars_of_the_last_runs_show_durations_and_failures(self):
        text = page(job("a", runs=runs(1, 2, 4, failed=[1])))

        [bars] = re.findall(r'<svg class="bars".*?</svg>', text)
        self.assertEqual(
            bars,
            '<svg class="bars" role="img"><title>3 runs, up to 4.0s, 1 failed</title>'
            '<path d="M2 20v-5M10 20v-20"/><path class="failed" d="M6 20v-10"/></svg>',
        )

    def test_runs_of_no_and_of_unknown_duration_have_bars(self):
        text = page(job("a", runs=runs(0, None)))

        self.assertIn("<title>2 runs, up to 0.0s</title>", text)

    def test_the_last_runs_show_errors_only_where_they_are_given(self):
        failed = LoggedRun(NOW, timedelta(seconds=2), None, "<class 'ValueError'>", "secret & more", None)

        text = page(job("a"), latest=[("a", failed), ("b", failed._replace(exc_value=None, duration=None))])

        self.assertIn("failed (ValueError)<th scope=\"row\">a<pre>secret &amp; more</pre><td>-<td>2.0s<td>2026-11-27 09:15", text)
        self.assertIn('failed (ValueError)<th scope="row">b<td>-<td>-<td>2026-11-27 09:15', text)

    def test_a_run_that_somebody_marked_was_none(self):
        mark = LoggedRun(NOW, timedelta(0), NOW, None, None, None, None, "anna@db1")

        self.assertIn('<td class="never-ran">○ marked by anna@db1<th scope="row">a', page(job("a"), latest=[("a", mark)]))

    def test_two_entries_of_one_name_are_two_jobs(self):
        text = page(job("a", "broken"), job("a"), job("b", depends_on=["a"]))

        self.assertEqual(len([path for path in Parsed(text).all("path") if path.get("class") == "edge"]), 1)
        self.assertEqual(Parsed(text).texts["th"].count("a"), 2)

    def test_without_jobs_it_says_so(self):
        text = page(verdict="No jobs are configured.")

        self.assertIn("<h1>No jobs are configured.</h1>", text)
        self.assertNotIn("<table", text)

    def test_it_says_when_it_was_written_and_how_often_that_happens(self):
        [html] = Parsed(page(tick=timedelta(minutes=2))).all("html")

        self.assertEqual(html, {"lang": "en", "data-written": str(int(NOW.timestamp())), "data-tick": "120"})


class TestSafety(unittest.TestCase):
    def test_hostile_texts_add_neither_elements_nor_attributes(self):
        failed = LoggedRun(NOW, None, None, HOSTILE, HOSTILE, None)

        def shape(text):
            with_error = LoggedRun(NOW, None, None, text, text, None) if text else failed
            jobs = job(text, "failing", why=text, since=text, error=text), job("b", depends_on=[text], runs=runs(1.0))
            parsed = Parsed(page(*jobs, app_name=text, host=text, verdict=text, latest=[(text, with_error)]))
            return [(tag, sorted(attributes)) for tag, attributes in parsed.elements]

        self.assertEqual(shape(HOSTILE), shape("harmless"))

    def test_hostile_texts_are_shown_as_they_are(self):
        parsed = Parsed(page(job(HOSTILE, "failing", why=HOSTILE, error=HOSTILE)))

        for tag in ("th", "td", "pre", "a"):
            self.assertIn(HOSTILE, [text.strip() for text in parsed.texts[tag]], tag)

    def test_the_policy_allows_exactly_its_own_style_and_script(self):
        text = page(job("a"))

        parsed = Parsed(text)
        [policy] = [each["content"] for each in parsed.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
        for tag in ("style", "script"):
            [inline] = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
            self.assertIn(f"{tag}-src 'sha256-{digest}';", policy)
        self.assertTrue(policy.startswith("default-src 'none'; "))
        self.assertNotIn("unsafe", policy)

    def test_it_names_nothing_outside_itself(self):
        parsed = Parsed(page(job("a"), job("b", "failing", ["a"])))

        addresses = [value for _, each in parsed.elements for name, value in each.items() if name in ("src", "href", "action")]
        self.assertEqual([each for each in addresses if not each.startswith(("#", "data:"))], [])
        self.assertEqual([each for _, each in parsed.elements if "style" in each or any(name.startswith("on") for name in each)], [])

    def test_a_thousand_jobs_with_long_names_fit(self):
        names = [f"department-{i % 20:02}-nightly-{i:04}" for i in range(1000)]
        jobs = [job(name, depends_on=names[i - 1 : i] if i % 5 else (), runs=runs(*range(5))) for i, name in enumerate(names)]

        text = page(*jobs, latest=[(names[0], LoggedRun(NOW, None, NOW, None, None, None))] * 50)

        self.assertLess(len(text.encode()) / 1024, KIBIBYTES)
