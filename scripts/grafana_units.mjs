// Prints the units that Grafana knows, one a line, for tests/monitoring/dashboards/grafana_units.txt. Grafana shows an
// unknown unit as a suffix and says nothing, so that only such a list can tell.
//
//   npm install --ignore-scripts --prefix /tmp/grafana @grafana/data@13.2.3
//   NODE_PATH=/tmp/grafana/node_modules node scripts/grafana_units.mjs > tests/monitoring/dashboards/grafana_units.txt
import { createRequire } from "node:module";

// The package is for browsers, and asks one for its languages while it is loaded.
if (!globalThis.navigator) {
  Object.defineProperty(globalThis, "navigator", { value: { userAgent: "node", language: "en", languages: ["en"] } });
}
const { getValueFormats } = createRequire(import.meta.url)("@grafana/data");
const units = getValueFormats().flatMap((category) => category.submenu.map((unit) => unit.value));
console.log([...new Set(units)].sort().join("\n"));
