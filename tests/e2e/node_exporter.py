"""Debian's node exporter of Prometheus, with nothing but the textfile collector."""

import socket
import subprocess
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

PROGRAM = "prometheus-node-exporter"


class NodeExporter:
    def __init__(self, folder: Path, log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._address = f"127.0.0.1:{server.getsockname()[1]}"
        command = [
            PROGRAM, "--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={folder}",
            f"--web.listen-address={self._address}",
        ]  # fmt: skip
        with log.open("w") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, user="nobody")

    def samples(self) -> dict[tuple[str, ...], float]:
        """Return the values by metric and labels; nothing as long as it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self._address}/metrics", timeout=10) as response:
                text = response.read().decode()
        except OSError:
            return {}
        families = text_string_to_metric_families(text)
        samples = (sample for family in families for sample in family.samples)
        return {(sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value for sample in samples}

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
