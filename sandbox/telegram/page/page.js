// Shows the world that `/sim/overview` and `/sim/messages` tell of, and acts as its people.
const $ = (id) => document.getElementById(id);
const REFRESH_MS = 700;
let world = { bot: {}, users: [], chats: [], webhook: {}, pending_updates: [] };
let current = Number(location.hash.slice(1)) || null;
let shown = "";
let atEnd = true;

async function sim(action, body = {}) {
  const answer = await fetch(`/sim/${action}`, { method: "POST", body: JSON.stringify(body) });
  const { ok, result, description } = await answer.json();
  if (!ok) {
    toast(description);
    throw new Error(description);
  }
  return result;
}

function element(tag, properties = {}, ...children) {
  const { data, style, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(style ?? {})) made.style.setProperty(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

let hiding;
function toast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  clearTimeout(hiding);
  hiding = setTimeout(() => $("toast").classList.remove("shown"), 3500);
}

const hue = (id) => `${(Math.abs(id) * 47) % 360}`;
const time = (unix) => new Date(unix * 1000).toTimeString().slice(0, 5);
const name = (chat) => chat.title ?? [chat.first_name, chat.last_name].filter(Boolean).join(" ");
const avatar = (chat) => element("span", { className: "avatar", style: { "--hue": hue(chat.id) } },
  name(chat).split(/\s+/).map((word) => [...word][0]).slice(0, 2).join("").toUpperCase());
const userOf = (chat) => world.users.find((user) => user.id === chat.id);
const isAdmin = (member) => ["creator", "administrator"].includes(member.status);

// -- text with entities: JavaScript counts UTF-16 code units as the Bot API does

function formatted(text, entities = [], from = 0, to = text.length) {
  const parts = document.createDocumentFragment();
  let at = from;
  entities.forEach((entity, index) => {
    if (entity.offset < at || entity.offset >= to) return;
    parts.append(text.slice(at, entity.offset));
    at = Math.min(entity.offset + entity.length, to);
    const inner = entities.slice(index + 1).filter((other) => other.offset < at);
    parts.append(wrapped(entity, formatted(text, inner, entity.offset, at), text.slice(entity.offset, at)));
  });
  parts.append(text.slice(at, to));
  return parts;
}

const TAGS = {
  bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};

function wrapped(entity, inner, plain) {
  if (entity.type in TAGS) return element(TAGS[entity.type], {}, inner);
  if (entity.type === "spoiler") return element("span", { className: "spoiler" }, inner);
  if (entity.type === "custom_emoji") return inner;
  const link = element("a", { href: "#", title: entity.url ?? plain }, inner);
  link.onclick = (event) => {
    event.preventDefault();
    if (entity.type === "bot_command") act({ text: plain });
    else if (entity.url || entity.type === "url") follow(entity.url ?? plain);
  };
  return link;
}

function follow(url) {
  const deep = new URL(url.includes("://") ? url : `https://${url}`);
  if (deep.hostname === "t.me" && deep.pathname === `/${world.bot.username}` && deep.searchParams.has("start"))
    return startedBy(deep.searchParams.get("start"));
  return window.open(deep, "_blank", "noopener");
}

async function startedBy(payload) {
  const user = actor();
  if (!user) return;
  await sim("send", { user_id: user, text: `/start ${payload}` });
  pick(user);
}

// -- messages

function mediaOf(message) {
  const { photo, video, animation, document: file } = message;
  if (photo || video || animation) {
    const id = (photo?.at(-1) ?? video ?? animation).file_unique_id;
    const blank = element("span", { className: "blank", style: { "--hue": hue([...id].reduce((n, c) => n * 31 % 997 + c.charCodeAt(0), 7)) } },
      photo ? "🖼" : "▶");
    if (!photo) return element("div", { className: "media" }, blank);
    const image = element("img", { src: `/media/${id}`, alt: "photo" });
    image.onload = toEnd;
    image.onerror = () => image.replaceWith(blank);
    return element("div", { className: "media" }, image);
  }
  if (!file) return null;
  return element("div", { className: "file" }, element("i", {}, "↓"),
    element("span", {}, file.file_name ?? "file", element("small", {}, `${Math.ceil(file.file_size / 1024)} KB`)));
}

function origin({ type, chat, sender_user: user }) {
  return element("div", { className: "sender" }, `Forwarded from ${type === "channel" ? name(chat) : name(user)}`);
}

function keyboardOf(message) {
  const rows = message.reply_markup?.inline_keyboard;
  if (!rows) return null;
  return element("div", { className: "keyboard" }, ...rows.map((row) => element("div", {}, ...row.map((button) => {
    const mark = button.url ? "↗" : button.web_app ? "▣" : "";
    const made = element("button", { type: "button", title: button.callback_data ?? button.url ?? "" },
      button.text, element("sup", {}, mark));
    made.onclick = () => press(message, button, made);
    return made;
  }))));
}

async function press(message, button, made) {
  if (button.url) return follow(button.url);
  const user = actor();
  if (!user) return toast("Pick a person first");
  if (button.web_app) {
    const data = await sim("init_data", { user_id: user });
    return window.open(`${button.web_app.url}#tgWebAppData=${encodeURIComponent(data)}&tgWebAppVersion=8.0&tgWebAppPlatform=web`, "_blank");
  }
  made.disabled = true;
  try {
    const { answer } = await sim("press", {
      user_id: user, chat_id: current, message_id: message.message_id, button: button.callback_data,
    });
    if (!answer) toast("The bot did not answer");
    else if (answer.show_alert) ask(answer.text, {}, "OK");
    else if (answer.text) toast(answer.text);
  } finally {
    made.disabled = false;
  }
}

function toolsOf(chat, message) {
  const key = { chat_id: chat.id, message_id: message.message_id };
  const edit = element("button", { type: "button", title: "Edit as a person" }, "✎");
  edit.onclick = async () => {
    const text = message.text ?? message.caption ?? "";
    const given = await ask("Edit the message", { text: { label: "Text", value: text } }, "Save");
    if (given && given.text !== text) await sim("edit", { ...key, text: given.text });
  };
  const remove = element("button", { type: "button", title: "Delete" }, "✕");
  remove.onclick = () => sim("delete", key).then(refresh);
  const own = !message.by_bot || chat.type !== "private";
  return element("span", { className: "tools" }, own ? edit : null, remove);
}

function bubble(chat, message) {
  const own = chat.type === "private" ? !message.by_bot : message.from?.id === actor();
  const sender = chat.type === "supergroup" && !own ? name(message.from) : "";
  const pinned = chat.pinned.includes(message.message_id) ? "📌 " : "";
  const edited = message.edit_date ? "edited " : "";
  const text = message.text ?? message.caption;
  return element("article", { className: `message${own ? " own" : ""}` },
    element("div", { className: "bubble" },
      mediaOf(message),
      message.forward_origin ? origin(message.forward_origin) : null,
      sender ? element("div", { className: "sender" }, sender) : null,
      text ? formatted(text, message.entities ?? message.caption_entities) : null,
      element("span", { className: "meta", title: `message ${message.message_id}` }, `${pinned}${edited}${time(message.date)}`)),
    keyboardOf(message), toolsOf(chat, message));
}

// -- the page

function actor() {
  return Number($("actor").value) || null;
}

function pick(id) {
  current = id;
  history.replaceState(null, "", `#${id}`);
  shown = "";
  atEnd = true;
  refresh();
}

const preview = (message) => message.photo ? "Photo" : message.document?.file_name ?? "Video";

function showChats() {
  const entry = (chat) => {
    const last = chat.last_message;
    const text = last ? last.text ?? last.caption ?? preview(last) : "";
    const made = element("button", { className: "chat", type: "button" }, avatar(chat),
      element("b", {}, name(chat)), element("time", {}, last ? time(last.date) : ""), element("small", {}, text || "\u00a0"));
    made.setAttribute("aria-current", chat.id === current);
    made.onclick = () => pick(chat.id);
    return made;
  };
  const group = (title, chats) => chats.length ? [element("h2", {}, title), ...chats.map(entry)] : [];
  $("chats").replaceChildren(
    ...group("People and the bot", world.chats.filter((chat) => chat.type === "private")),
    ...group("Channels and groups", world.chats.filter((chat) => chat.type !== "private")));
}

function showStatus() {
  const { url, last_error_message: error } = world.webhook;
  $("status").replaceChildren(
    element("div", {}, `@${world.bot.username} · ${url ? "webhook" : "no webhook"} · ${world.pending_updates.length} pending`),
    error && world.pending_updates.length ? element("div", { className: "bad" }, error) : "",
    world.faults?.length ? element("div", { className: "bad" }, `${world.faults.length} faults ordered`) : "");
}

function showHead(chat) {
  const button = (label, action) => {
    const made = element("button", { type: "button" }, label);
    made.onclick = () => action().then(refresh);
    return made;
  };
  const details = element("p", {}, element("b", {}, name(chat)));
  const buttons = [];
  if (chat.type === "private") {
    const user = userOf(chat);
    const state = user.deactivated ? "deactivated" : user.blocked ? "has blocked the bot" : user.started ? "talks to the bot" : "has not started the bot";
    details.append(element("small", {}, [`id ${chat.id}`, user.username && `@${user.username}`, user.language_code, state].filter(Boolean).join(" · ")));
    if (!user.started || user.blocked) buttons.push(button("Start", () => sim("send", { user_id: chat.id, text: "/start" })));
    else buttons.push(button("Block the bot", () => sim("block", { user_id: chat.id })));
  } else {
    const bot = chat.members.find((member) => member.user.id === world.bot.id);
    const link = chat.username ? `@${chat.username}` : "private";
    const state = bot ? `bot is ${bot.status}` : "bot is not here";
    details.append(element("small", {}, [`id ${chat.id}`, link, `${chat.subscribers} subscribers`, chat.protected && "protected", state].filter(Boolean).join(" · ")));
    buttons.push(bot?.status === "administrator"
      ? button("Remove the bot", () => sim("member", { chat_id: chat.id, status: "left" }))
      : button("Add the bot as administrator", () => sim("member", { chat_id: chat.id, status: "administrator" })));
  }
  $("head").replaceChildren(avatar(chat), details, ...buttons);
}

function showActors(chat) {
  const before = $("actor").dataset.chat === String(chat.id) ? $("actor").value : "";
  $("actor").dataset.chat = chat.id;
  const admins = chat.members.filter((member) => isAdmin(member) && !member.user.is_bot);
  const people = chat.type === "private" ? [userOf(chat)] : [...new Map(
    [...admins.map((member) => member.user), ...world.users].map((user) => [user.id, user])).values()];
  $("actor").replaceChildren(...people.map((user) => element("option", { value: user.id }, name(user))));
  $("actor").hidden = chat.type === "private";
  if (people.some((user) => String(user.id) === before)) $("actor").value = before;
}

async function refresh() {
  world = await sim("overview");
  const chat = world.chats.find((candidate) => candidate.id === current) ?? world.chats[0];
  const messages = chat ? await sim("messages", { chat_id: chat.id, last: 200 }) : [];
  const now = JSON.stringify([world, messages]);
  if (now === shown) return;
  shown = now;
  current = chat?.id ?? null;
  showChats();
  showStatus();
  $("composer").hidden = !chat;
  if (!chat) return;
  showHead(chat);
  showActors(chat);
  const list = $("messages");
  list.replaceChildren(...(messages.length
    ? messages.map((message) => bubble(chat, message))
    : [element("p", { className: "none" }, "No messages here yet")]));
  toEnd();
}

function toEnd() {
  if (atEnd) $("messages").scrollTop = $("messages").scrollHeight;
}

$("messages").onscroll = ({ target: list }) => {
  atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
};

async function act(body) {
  await sim("send", { user_id: actor(), chat_id: current, ...body });
  refresh();
}

$("composer").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  act({ text });
};

function ask(title, fields, verb) {
  const form = $("dialog").firstElementChild;
  const inputs = Object.entries(fields).map(([key, { label, value = "", type = "text" }]) =>
    element("label", {}, label, element("input", { name: key, value, type })));
  const submit = element("button", { value: "yes", className: "main" }, verb);
  const cancel = element("button", { value: "" }, "Cancel");
  form.replaceChildren(element("h2", {}, title), ...inputs, element("menu", {}, inputs.length ? cancel : "", submit));
  $("dialog").returnValue = "";
  $("dialog").showModal();
  return new Promise((resolve) => {
    $("dialog").onclose = () => resolve($("dialog").returnValue === "yes" ? Object.fromEntries(new FormData(form)) : null);
  });
}

$("new-user").onclick = async () => {
  const free = Math.max(1000, ...world.users.map((user) => user.id)) + 1;
  const given = await ask("A new person", {
    first_name: { label: "First name" }, username: { label: "Username (may be empty)" },
    language_code: { label: "Language", value: "ru" }, user_id: { label: "Telegram id", value: free, type: "number" },
  }, "Add");
  if (!given) return;
  const user = await sim("user", { ...given, user_id: Number(given.user_id) });
  pick(user.id);
};

$("new-channel").onclick = async () => {
  const given = await ask("A new channel", {
    title: { label: "Title" }, username: { label: "Username (empty: private)" },
    creator_id: { label: "Creator's Telegram id", value: actor() ?? world.users[0]?.id ?? "", type: "number" },
    subscribers: { label: "Subscribers", value: 1000, type: "number" },
  }, "Add");
  if (!given) return;
  const chat = await sim("channel", { ...given, creator_id: Number(given.creator_id), subscribers: Number(given.subscribers) });
  pick(chat.id);
};

async function watch() {
  try {
    await refresh();
  } catch {
    $("status").textContent = "The sandbox does not answer";
  }
  setTimeout(watch, REFRESH_MS);
}
watch();
