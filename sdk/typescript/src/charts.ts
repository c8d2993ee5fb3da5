// Charts that code has shown, taken from what it wrote.

import { SHOWN } from "./shown.js";

const MARK = "belljar-chart:";

/** What a chart is. */
export enum ChartType {
  LINE = "line",
  SCATTER = "scatter",
  BAR = "bar",
  PIE = "pie",
  BOX_AND_WHISKER = "box_and_whisker",
  COMPOSITE_CHART = "composite_chart",
  UNKNOWN = "unknown",
}

/** A figure, or a part of one. It is what runs inside that says so: any of it may be missing, or made up. */
export interface Chart {
  type: ChartType | string;
  title?: string;
  /** Its picture, in base64. */
  png?: string;
  elements?: Array<Record<string, unknown>>;
  [key: string]: unknown;
}

/** The same code, whose figures are written as lines. It is a text in it, so that its lines keep their numbers. */
export function withCharts(code: string): string {
  const bytes = Buffer.from(code).toString("base64");
  return `${SHOWN}\nimport base64 as __base64\nexec(compile(__base64.b64decode("${bytes}"), "<stdin>", "exec"))\n`;
}

/** What was written without the charts, and the charts. */
export function taken(output: string): { rest: string; charts: Chart[] } {
  const charts: Chart[] = [];
  const rest = output.split(/(?<=\n)/).filter((line) => {
    if (!line.startsWith(MARK)) return true;
    try {
      const told: unknown = JSON.parse(line.slice(MARK.length));
      if (!told || typeof told !== "object" || Array.isArray(told)) return true;
      charts.push(told as Chart);
      return false;
    } catch {
      // A line that only begins so.
      return true;
    }
  });
  return { rest: rest.join(""), charts };
}
