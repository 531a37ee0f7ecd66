"""Hundreds of random histories in an operator's hands: each run is one that the documentation promises."""

from tests.integration import test_control_model


class TestProperty(test_control_model.TestProperty):
    examples = 400
