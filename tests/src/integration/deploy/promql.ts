/** What a PromQL expression asks for by name. */
export interface PromqlNames {
  /** Each with the label matchers that stand behind it. */
  readonly metrics: readonly {
    readonly name: string;
    readonly matchers: readonly {
      readonly label: string;
      readonly op: string;
      readonly value: string;
    }[];
  }[];
  /** Labels of `by`, `on` and `without`. */
  readonly groupings: readonly string[];
}

const FUNCTIONS =
  /\b(sum|max|min|avg|rate|increase|histogram_quantile|label_values|and|by|on|without)\b/;

/** Takes names out of the part of PromQL that this repository's dashboards and rules are written in. */
export function promqlNames(expression: string): PromqlNames {
  const groupings: string[] = [];
  const rest = expression.replace(/\b(?:by|on|without) ?\(([^)]*)\)/g, (_, labels: string) => {
    groupings.push(...labels.split(",").map((label) => label.trim()));
    return "";
  });
  const metrics = [...rest.matchAll(/([a-zA-Z_:][\w:]*)(\{[^}]*\})?(?!\w*\()/g)]
    .filter(([, name = ""]) => !FUNCTIONS.test(name) && /_|^up$/.test(name))
    .filter(([, name = ""]) => !name.startsWith("__"))
    .map(([, name = "", braces = ""]) => ({
      name,
      matchers: [...braces.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(
        ([, label = "", op = "", value = ""]) => ({ label, op, value }),
      ),
    }));
  return { metrics, groupings };
}
