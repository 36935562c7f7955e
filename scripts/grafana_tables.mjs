// Joins the answers of each table of the dashboards with Grafana's own code, as Grafana would, and fails where a table
// has not the columns that it is to have, in their order, or a row is not whole.
//
//   npm install --ignore-scripts --prefix /tmp/grafana @grafana/data@13.2.3
//   NODE_PATH=/tmp/grafana/node_modules node scripts/grafana_tables.mjs helm/metasearch/dashboards/*.json
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// The package is for browsers: it asks for languages while it is loaded, and for a window when it transforms. With a
// window from the beginning it would look for a document, too.
if (!globalThis.navigator) {
  Object.defineProperty(globalThis, "navigator", { value: { userAgent: "node", language: "en", languages: ["en"] } });
}
const grafana = createRequire(import.meta.url)("@grafana/data");
globalThis.window = {};

const transformers = new Map(Object.values(grafana.standardTransformers).map((each) => [each.id, each]));
grafana.standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((each) => ({ id: each.id, name: each.name, transformation: async () => each })),
);

const ROWS = [1, 2, 10];

/** The answer to a query as Grafana's data source for Prometheus returns it for a table. */
function answer(target, isOnlyOne) {
  const labels = target.expr.match(/by \(([^)]*)\)/)[1].split(", ");
  const fields = [{ name: "Time", type: "time", config: {}, values: ROWS.map(() => 0) }];
  for (const label of labels) fields.push({ name: label, type: "string", config: {}, values: ROWS.map(String) });
  const name = isOnlyOne ? "Value" : `Value #${target.refId}`;
  fields.push({ name, type: "number", config: {}, values: ROWS });
  return grafana.toDataFrame({ refId: target.refId, fields });
}

let tables = 0;
for (const path of process.argv.slice(2)) {
  for (const panel of JSON.parse(readFileSync(path)).panels.filter((each) => each.type === "table")) {
    const { indexByName, renameByName } = panel.transformations.at(-1).options;
    const wanted = Object.keys(indexByName).sort((one, other) => indexByName[one] - indexByName[other]);
    const answers = panel.targets.map((target) => answer(target, panel.targets.length === 1));
    grafana.transformDataFrame(panel.transformations, answers).subscribe(([joined, ...others]) => {
      const found = joined.fields.map((field) => grafana.getFieldDisplayName(field, joined));
      const isWhole = joined.fields.every((field) => ROWS.every((row, index) => Number(field.values[index]) === row));
      const isRight = String(found) === String(wanted.map((name) => renameByName[name]));
      if (others.length || joined.length !== ROWS.length || !isWhole || !isRight) {
        console.error(`${path}: ${panel.title} is joined to ${found}, ${joined.length} rows`);
        process.exitCode = 1;
      }
    });
    tables += 1;
  }
}
process.on("exit", () => console.log(`${tables} tables`));
