"""Print the manifest with this site's numbers in place, for wskdeploy, which cannot read those from variables.

    set -a; . deploy/defaults.env; set +a
    python deploy/site_manifest.py > wskdeploy.site.yaml && wskdeploy -m wskdeploy.site.yaml

The file must lie beside wskdeploy.yaml: the actions' paths are relative to it.
"""

from __future__ import annotations

import os
import sys

from whisktrain.openwhisk import manifest, system

if __name__ == "__main__":
    sys.stdout.write(manifest.render(system.manifest_path(), os.environ))
