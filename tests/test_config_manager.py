"""Our ConfigurationManager: what it makes of the command line, of lists and of aggregations."""

from configman import Namespace, RequiredConfig

from crontabber.transaction_executor import string_to_list_of_ints
from tests.config_case import ConfigTestCase, manager, printed


def options(**defaults) -> Namespace:
    tree = Namespace()
    for name, default in defaults.items():
        tree.add_option(name, default=default)
    return tree


class Lists(ConfigTestCase):
    def test_a_list_stays_one_but_for_our_own_converters(self):
        tree = options(pair=("a", "b"), names=["a"], text="")
        tree.add_option("split", default="", from_string_converter=lambda text: text.split(","))
        tree.add_option("delays", default="1", from_string_converter=string_to_list_of_ints)
        path = self.file("app.ini", "".join(f"{name} = 1, 2\n" for name in tree))

        config = manager(sources=[path], definition=tree).get_config()

        self.assertEqual([config.pair, config.names, config.text, config.split], [["1", "2"]] * 4)
        self.assertEqual(config.delays, [1, 2])


class CommandLine(ConfigTestCase):
    def test_a_short_form_is_understood_at_any_depth(self):
        class Jobs(RequiredConfig):
            required_config = Namespace()
            required_config.namespace("class-Job").add_option("shorty", default="a", short_form="S")

        tree = Namespace()
        tree.namespace("crontabber").add_option("jobs", default=Jobs)

        config = manager(["-S", "b"], definition=tree).get_config()

        self.assertEqual(config.crontabber["class-Job"].shorty, "b")


class Twice(ConfigTestCase):
    def test_what_was_changed_is_written_as_changed_also_if_it_is_required_twice(self):
        class Inner(RequiredConfig):
            required_config = Namespace()
            required_config.add_option("both", default=1, doc="required a second time, in a later round")

        class Outer(RequiredConfig):
            required_config = Namespace()
            required_config.add_option("both", default=1)
            required_config.add_option("inner_class", default=Inner)

        tree = Namespace()
        tree.namespace("job").add_option("outer_class", default=Outer)

        self.assertIn("\n    both=2\n", printed(["--job.both=2", "--admin.print_conf=ini"], definition=tree))


class Aggregations(ConfigTestCase):
    def test_each_sees_the_options_and_its_own_section_and_is_made_once(self):
        tree = options(number=1)
        tree.namespace("inner").add_option("own", default=2)
        made = []

        def aggregated(config, local, arguments):
            made.append((config.number, local.get("own"), config.both))
            return len(made)

        tree.add_aggregation("both", aggregated)
        tree.inner.add_aggregation("both", aggregated)
        tree.add_aggregation("hidden$", aggregated)

        config = manager(definition=tree).get_config()

        self.assertEqual(made, [(1, None, None), (1, None, None), (1, 2, None)])
        self.assertEqual((config.both, config.inner.both, "hidden$" in config), (1, 3, False))
