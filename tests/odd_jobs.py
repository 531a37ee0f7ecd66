"""Job classes with odd options or faults, to see how crontabber handles them."""

from configman import Namespace

from crontabber.base import BaseCronApp


class ConfiguredJob(BaseCronApp):
    app_name = "configured"
    required_config = Namespace()
    required_config.add_option("greeting", default="Hello", doc="what to say")
    required_config.add_option("shout", default=False, doc="how to say it")

    def run(self):
        self.config.logger.info(self.config.greeting)


class ZonedJob(BaseCronApp):
    app_name = "zoned"
    required_config = Namespace()
    required_config.add_option("timezone", default="not even a zone")


class NamelessJob(BaseCronApp):
    pass


class SelfishJob(BaseCronApp):
    app_name = "selfish"
    depends_on = "selfish"


class ConfusedJob(BaseCronApp):
    app_name = "confused"
    depends_on = 17


class HenJob(BaseCronApp):
    app_name = "hen"
    depends_on = ("egg",)


class EggJob(BaseCronApp):
    app_name = "egg"
    depends_on = ("hen",)


class FooJob(BaseCronApp):
    app_name = "other-foo"


class OtherFooJob(BaseCronApp):
    app_name = "foo"


class InterruptedJob(BaseCronApp):
    app_name = "interrupted"

    def run(self):
        raise KeyboardInterrupt


not_a_class = 17
