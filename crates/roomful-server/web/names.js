/**
 * Friendly names for rooms, until somebody thinks of better ones.
 */
import { language } from "./i18n.js";

const WORDS = {
  en: {
    kinds: ["Bright", "Calm", "Clever", "Cosy", "Curious", "Gentle", "Happy", "Kind", "Lively", "Merry", "Patient", "Quiet", "Quick", "Sunny", "Warm", "Witty"],
    places: ["bay", "bridge", "cafe", "forest", "garden", "harbour", "hill", "island", "lake", "library", "meadow", "porch", "river", "terrace", "valley", "yard"],
    glue: " ",
  },
  zh: {
    kinds: ["安静的", "好奇的", "快乐的", "温柔的", "聪明的", "耐心的", "活泼的", "明亮的", "悠闲的", "勇敢的", "机灵的", "和气的"],
    places: ["茶馆", "湖边", "花园", "书房", "小岛", "山谷", "海湾", "树林", "小院", "露台", "河畔", "灯塔"],
    glue: "",
  },
};

/** @returns {string} a room hardly anybody else will guess */
export function roomName() {
  const { kinds, places, glue } = WORDS[language];
  const number = 100 + Math.floor(Math.random() * 900);
  return `${pick(kinds).toLowerCase()}${glue && "-"}${pick(places)}-${number}`;
}

/** @param {string[]} words */
function pick(words) {
  return words[Math.floor(Math.random() * words.length)];
}
