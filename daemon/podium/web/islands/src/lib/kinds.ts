// The sign of a kind of task or trigger, by its type, in a square of 24.
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/\.trigger\.Schedule/, "M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 1 0 0-17M12 7v5l3.2 2"], [/Webhook$/, "M12 4v9a4 4 0 1 0 4 4M12 4h.1"],
  [/\.trigger\.|Trigger$/, "M13 3.5 5.5 13.5H12L11 20.5l7.5-10H12z"], [/\.flow\.(If|Switch)$/, "M12 3.5 20.5 12 12 20.5 3.5 12z"],
  [/ForEach|Each|Loop|WaitFor/, "M5 12a7 7 0 0 1 12-5l2 2M19 12a7 7 0 0 1-12 5l-2-2M19 4.5V9h-4.5M5 19.5V15h4.5"], [/Parallel$|\.Dag$/, "M6 4v16M12 4v16M18 4v16"],
  [/\.flow\.(Subflow|Flow)$|^flow$/, "M3.5 4h7v5h-7zM13.5 15h7v5h-7zM7 9v5.5a3 3 0 0 0 3 3h3.5"], [/\.flow\.(Pause|Approval)$|Sleep$/, "M9 5.5v13M15 5.5v13"],
  [/WorkingDirectory|\.files?\.|storage|\.namespace\./i, "M3.5 6.5h6l2 2.5h9v9.5h-17z"], [/\.flow\./, "M12 4v16M7.500 15.500l4.500 4.500 4.500-4.500"],
  [/scripts?\.|Commands$|Script$/, "M4 5h16v14H4zM8 9.500l3 2.500-3 2.500M13 15h3.500"], [/\.log\./, "M4.500 6h15M4.500 10h10M4.500 14h13M4.500 18h8"],
  [/http/i, "M3.500 12h17M12 3.500a8.500 8.500 0 1 0 0 17a8.500 8.500 0 1 0 0-17c-5 5-5 12 0 17c5-5 5-12 0-17"], [/jdbc|sql|duckdb|\.kv\./i, "M5 6.500c0-4 14-4 14 0v11c0 4-14 4-14 0zM5 6.500c0 4 14 4 14 0M5 12c0 4 14 4 14 0"],
];

/** The sign as the path of an SVG. */
export const kindSign = (type: string): string => KINDS.find(([pattern]) => pattern.test(type))?.[1] ?? "M4.500 8.500h4a2.200 2.200 0 1 1 4.200 0h3.800v4a2.200 2.200 0 1 1 0 4.200v3.300h-12z";
