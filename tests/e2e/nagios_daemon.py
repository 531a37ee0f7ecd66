"""Debian's Nagios with its own configuration, in a separate folder."""

import re
import shutil
import subprocess
from pathlib import Path

CONFIGURATION = Path("/etc/nagios4/nagios.cfg")
# Changes to Debian's settings: an interval is a second, everything starts at once, no mail, no network.
SETTINGS = {
    "interval_length": "1",
    "service_inter_check_delay_method": "n",
    "check_result_reaper_frequency": "1",
    "status_update_interval": "1",
    "enable_notifications": "0",
    "check_for_updates": "0",
    "use_syslog": "0",
    "retain_state_information": "0",
}
HOST = """
define host {
    use         generic-host
    host_name   localhost
    address     127.0.0.1
    max_check_attempts 1
}
"""


class NagiosDaemon:
    def __init__(self, folder: Path) -> None:
        self._folder = folder / "nagios"

    def start(self, objects: str) -> None:
        """Run it with these definitions. AssertionError with the output of Nagios if it refuses them."""
        for name in ("var", "objects", "spool"):
            (self._folder / name).mkdir(parents=True)
            shutil.chown(self._folder / name, "nagios", "nagios")
        (self._folder / "objects/all.cfg").write_text(HOST + objects)
        configuration = self._folder / "nagios.cfg"
        configuration.write_text(self._configuration())
        verified = subprocess.run(["nagios4", "-v", str(configuration)], text=True, capture_output=True, check=False)
        if verified.returncode:
            raise AssertionError(verified.stdout)
        log = (self._folder / "output").open("w")
        self._daemon = subprocess.Popen(
            ["nagios4", str(configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def services(self) -> dict[str, tuple[int, str]]:
        """Return the state and the text of each service that has been checked."""
        status = self._folder / "var/status.dat"
        blocks = re.findall(r"servicestatus \{(.*?)\n\t\}", status.read_text() if status.exists() else "", re.DOTALL)
        services = [dict(line.strip().partition("=")[::2] for line in block.strip().splitlines()) for block in blocks]
        return {
            service["service_description"]: (int(service["current_state"]), _text(service))
            for service in services
            if service["has_been_checked"] == "1"
        }

    def stop(self) -> None:
        if hasattr(self, "_daemon"):
            self._daemon.terminate()
            self._daemon.wait(20)

    def _configuration(self) -> str:
        """Return Debian's configuration, changed to write only below our folder and to read our objects, too."""
        var = self._folder / "var"
        text = CONFIGURATION.read_text()
        text = re.sub(r"(?m)^(cfg_dir=.*|cfg_file=.*/localhost\.cfg)$", "", text)
        text = re.sub(r"(?m)^(\w+)=/var/\S*/(\S+)$", rf"\1={var}/\2", text)
        text = re.sub(r"(?m)^check_result_path=.*$", f"check_result_path={self._folder}/spool", text)
        text = re.sub(r"(?m)^log_archive_path=.*$", f"log_archive_path={var}", text)
        for name, value in SETTINGS.items():
            text = re.sub(rf"(?m)^{name}=.*$", f"{name}={value}", text)
        return f"{text}\ncfg_dir={self._folder}/objects\ncfg_dir=/etc/nagios-plugins/config\n"


def _text(service: dict[str, str]) -> str:
    """Return the line that the check printed. Nagios takes everything after its first | as performance data."""
    return " | ".join(filter(None, (service["plugin_output"].rstrip(), service["performance_data"])))
