// Written by `python -m lstmviz.wire`: to change something, change it there.

export const BLOCK = 32;
export const LEVELS = 65534;
export const NAN = 65535;
export const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
export const SIGNED = {"light": [["#2166ac", "#5b9bcb", "#b4d3e7"], ["#f7c4ab", "#e07b62", "#b2182b"]], "dark": [["#9cc9ff", "#4a90d9", "#23507f"], ["#7d2f2c", "#db5546", "#ffab91"]]};
export const INKS = {"light": {"tint": "#ea641e", "bar": "#fdba74", "loss": "#c2410c", "perplexity": "#7c3aed", "likely": "#2563eb"}, "dark": {"tint": "#ea580c", "bar": "#b45309", "loss": "#fb923c", "perplexity": "#c4b5fd", "likely": "#60a5fa"}};
export const PAGES = {"light": {"background": "#ffffff", "text": "#1c2024", "border": "#d5d7db", "primary": "#1d4ed8"}, "dark": {"background": "#0f1318", "text": "#e6e8eb", "border": "#3a4049", "primary": "#3b82f6"}};
export const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [12, 3]];
export const NEWLINE_SIGN = "⏎";
export const SPACE_SIGN = "␣";
