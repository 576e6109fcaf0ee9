/** The words of the dialog that shares a room, in both languages: they are loaded with it alone. */
const en = {
  share_about: "Whoever has the link can come in. Scan the code with a phone, or send the link.",
  share_code: "QR code with the link to {room}",
  share_link: "Link to the room",
  share_copy: "Copy link",
  share_copied: "Link copied.",
  share_by_hand: "The link is selected: copy it from there.",
  share_send: "Send…",
  share_close: "Close",
};

/** @type {typeof en} */
const zh = {
  share_about: "有链接就能进来。用手机扫码，或把链接发出去。",
  share_code: "{room} 的链接二维码",
  share_link: "房间链接",
  share_copy: "复制链接",
  share_copied: "链接已复制。",
  share_by_hand: "链接已选中，请从那里复制。",
  share_send: "发送…",
  share_close: "关闭",
};

export const words = { en, zh };
