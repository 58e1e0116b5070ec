// Written by `python -m lstmviz.wire`: to change something, change it there.

export const BLOCK = 32;
export const LEVELS = 65534;
export const NAN = 65535;
export const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
export const SIGNED = {"light": [["#2166ac", "#5b9bcb", "#b4d3e7"], ["#f7c4ab", "#e07b62", "#b2182b"]], "dark": [["#9cc9ff", "#4a90d9", "#23507f"], ["#7d2f2c", "#db5546", "#ffab91"]]};
export const INKS = {"light": {"tint": "#ea641e", "bar": "#fdba74", "loss": "#c2410c", "perplexity": "#7c3aed", "likely": "#2563eb", "gain": "#0b6fb8", "lack": "#c2570c"}, "dark": {"tint": "#ea580c", "bar": "#b45309", "loss": "#fb923c", "perplexity": "#c4b5fd", "likely": "#60a5fa", "gain": "#56b4e9", "lack": "#f0883e"}};
export const PAGES = {"light": {"background": "#ffffff", "text": "#1c2024", "border": "#d5d7db", "primary": "#1d4ed8"}, "dark": {"background": "#0f1318", "text": "#e6e8eb", "border": "#3a4049", "primary": "#3b82f6"}};
export const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [12, 3]];
export const LONGEST = 100000;
export const LIKELY_MOST = 64;
export const FEW_LABELS = 12;
export const MANY = 8;
export const UNKNOWN_MOST = 0.3;
export const NEWLINE_SIGN = "⏎";
export const SPACE_SIGN = "␣";
export const UNSEEN = "(\ud83c\udff4[\udb40\udc30-\udb40\udc39\udb40\udc61-\udb40\udc7a]+\udb40\udc7f|\\p{Extended_Pictographic}(?:\\p{Emoji_Modifier}|[\\ufe0e\\ufe0f])?(?:\\u200d\\p{Extended_Pictographic}(?:\\p{Emoji_Modifier}|[\\ufe0e\\ufe0f])?)*|[0-9#*]\\ufe0f\\u20e3|\\p{Script=Han}[\\ufe00-\\ufe02\udb40\udd00-\udb40\uddef]|(?=\\p{L})\\p{Script=Mongolian}[\\u180b-\\u180f]|(?!\\p{Default_Ignorable_Code_Point})(?=[\\p{L}\\p{M}])[\\p{Script=Arabic}\\p{Script=Syriac}\\p{Script=Mandaic}\\p{Script=Nko}\\p{Script=Mongolian}\\p{Script=Devanagari}\\p{Script=Bengali}\\p{Script=Gurmukhi}\\p{Script=Gujarati}\\p{Script=Oriya}\\p{Script=Tamil}\\p{Script=Telugu}\\p{Script=Kannada}\\p{Script=Malayalam}\\p{Script=Sinhala}\\p{Script=Tibetan}\\p{Script=Myanmar}\\p{Script=Khmer}\\p{M}][\\u200c\\u200d](?=[\\p{Script=Arabic}\\p{Script=Syriac}\\p{Script=Mandaic}\\p{Script=Nko}\\p{Script=Mongolian}\\p{Script=Devanagari}\\p{Script=Bengali}\\p{Script=Gurmukhi}\\p{Script=Gujarati}\\p{Script=Oriya}\\p{Script=Tamil}\\p{Script=Telugu}\\p{Script=Kannada}\\p{Script=Malayalam}\\p{Script=Sinhala}\\p{Script=Tibetan}\\p{Script=Myanmar}\\p{Script=Khmer}]))|(?![\\t\\n\\u0600-\\u0605\\u06dd\\u0890\\u0891\\u08e2\ud804\udcbd\ud804\udccd\\u070f])[\\p{Default_Ignorable_Code_Point}\\p{Cf}\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\u2800]";
export const RIGHT_TO_LEFT = "[\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc\ud802\udc00-\ud803\udfff\ud83a\udc00-\ud83b\udfff]";
