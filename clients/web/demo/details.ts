/** Beside the open conversation: what it is, who is in it, and what one may do about it. */
import type { Member, Role } from "../src/index.ts";
import { isMuted, knownMembers, knowsAllMembers, memberCount, type View } from "../src/view.ts";
import { avatar } from "./avatar.ts";
import type { Context, Part } from "./context.ts";
import { confirmDialog, fieldsForm, namesIn } from "./dialogs.ts";
import { el, iconButton, rebuild } from "./el.ts";
import { icon } from "./icons.ts";
import { type MenuItem, openMenu } from "./menu.ts";
import { isAdmin, isMember, isOwner, mayRemove } from "./permissions.ts";
import { reconcile } from "./reconcile.ts";
import { exactTimeOf, nameOf, presenceOf } from "./words.ts";

const hourMs = 3_600_000;
/** A time so far away is for ever. */
const yearMs = 365 * 24 * hourMs;
const order: Record<Role, number> = { owner: 0, admin: 1, member: 2 };
const roleNames: Record<Role, string> = { owner: "Owner", admin: "Admin", member: "" };

export function createDetails(context: Context): Part {
  const { client, views, user, attempt } = context;
  const head = el("div", { className: "about" });
  const mute = el("div", { className: "section" });
  const settings = el("div", { className: "section" });
  const members = el("ul", { className: "members" });
  const membersHead = el("h3");
  const adding = el("div", { className: "adding" });
  const danger = el("div", { className: "section" });
  const people = el("div", { className: "section" }, membersHead, adding, members);
  const element = el(
    "section",
    { className: "details", attributes: { "aria-label": "Details" } },
    el(
      "header",
      {},
      iconButton("close", "Close details", () => context.setDetailed(false)),
      el("h2", {}, "Details"),
    ),
    el("div", { className: "scroll" }, head, mute, settings, people, danger),
  );
  element.onkeydown = (event) => {
    if (event.key === "Escape") context.setDetailed(false);
  };
  let shown: string | undefined;
  let drawn = "";

  const view = (): View | undefined =>
    context.open === undefined ? undefined : views.all.get(context.open);

  const rename = (open: View) =>
    fieldsForm("Rename", [{ label: "Title", name: "rename" }], async ([title = ""]) => {
      await client.updateGroup(open.id, { title });
    });
  const toggle = (label: string, hint: string, isOn: boolean, set: (isOn: boolean) => void) => {
    const attributes = { type: "checkbox", role: "switch", "data-focus": label };
    const box = el("input", { checked: isOn, attributes });
    box.onchange = () => set(box.checked);
    return el("label", { className: "switch" }, el("span", {}, label, el("small", {}, hint)), box);
  };

  const drawHead = (open: View) => {
    const name = nameOf(open);
    const presence = open.kind === "direct" ? views.presences.get(open.peer) : undefined;
    rebuild(
      head,
      avatar(name, presence?.status),
      el("h3", {}, name),
      el(
        "p",
        {},
        open.kind === "direct" ? presenceOf(presence) : `Group, ${memberCount(open)} members`,
      ),
    );
  };
  const drawMute = (open: View) => {
    const until = open.mutedUntilMs;
    const isMutedNow = isMuted(open, Date.now());
    const set = (untilMs: number) => void attempt(() => client.setMute(open.id, untilMs));
    const opener = el(
      "button",
      {
        className: "wide",
        attributes: { type: "button", "data-focus": "mute" },
        onclick: () =>
          isMutedNow
            ? set(0)
            : openMenu(opener, {
                items: [
                  { label: "For an hour", run: () => set(Date.now() + hourMs) },
                  { label: "For eight hours", run: () => set(Date.now() + 8 * hourMs) },
                  { label: "Until I say otherwise", run: () => set(Number.POSITIVE_INFINITY) },
                ],
              }),
      },
      icon("mute"),
      isMutedNow ? "Unmute" : "Mute",
    );
    const isForEver = until - Date.now() > yearMs;
    rebuild(
      mute,
      opener,
      isMutedNow &&
        el("p", { className: "note" }, isForEver ? "Muted." : `Muted until ${exactTimeOf(until)}.`),
    );
  };
  const drawSettings = (open: View) => {
    settings.hidden = !isAdmin(open);
    if (settings.hidden) return settings.replaceChildren();
    const { announcement, fullHistory } = open.settings;
    const update = (change: { announcement?: boolean; fullHistory?: boolean }) =>
      void attempt(() => client.updateGroup(open.id, change)).then((isDone) => {
        if (!isDone) redraw();
      });
    const form = settings.querySelector("form") ?? rename(open);
    rebuild(
      settings,
      el("h3", {}, "Settings"),
      form,
      toggle("Announcements", "Only admins write", announcement, (isOn) =>
        update({ announcement: isOn }),
      ),
      toggle("Full history", "New members see what was before", fullHistory, (isOn) =>
        update({ fullHistory: isOn }),
      ),
    );
    const input = form.querySelector("input");
    if (input && document.activeElement !== input) input.value = open.settings.title;
  };
  const drawDanger = (open: View) => {
    const leave = async () => {
      const text = "You will get no more of its messages.";
      if (await confirmDialog(`Leave “${nameOf(open)}”?`, text, "Leave"))
        await attempt(() => client.leave(open.id));
    };
    const isBlocked = views.blocked.has(open.peer);
    const block = async () => {
      if (isBlocked) return attempt(() => client.unblock(open.peer));
      const text = `Neither of you can write to the other, or see whether the other is there. ${open.peer} is not told.`;
      return (
        (await confirmDialog(`Block ${open.peer}?`, text, "Block")) &&
        attempt(() => client.block(open.peer))
      );
    };
    const isGroup = open.kind === "group";
    danger.hidden = isGroup && !isMember(open);
    rebuild(
      danger,
      el(
        "button",
        {
          type: "button",
          className: isBlocked && !isGroup ? "wide" : "wide danger",
          onclick: () => void (isGroup ? leave() : block()),
          attributes: { "data-focus": "danger" },
        },
        icon(isGroup ? "out" : "block"),
        isGroup ? "Leave group" : isBlocked ? `Unblock ${open.peer}` : `Block ${open.peer}`,
      ),
    );
  };

  const memberMenu = (open: View, member: Member, opener: HTMLElement) => {
    const items: MenuItem[] = [
      {
        label: "Send a message",
        run: () =>
          void attempt(async () => {
            const conversation = await client.openDirect(member.user);
            views.add(conversation);
            context.show(conversation.id);
          }),
      },
    ];
    const setRole = (role: Role) => ({
      label: `Make ${{ owner: "owner", admin: "admin", member: "a plain member" }[role]}`,
      run: () => void attempt(() => client.setRole(open.id, member.user, role)),
    });
    if (isOwner(open))
      for (const role of ["owner", "admin", "member"] as const)
        if (role !== member.role) items.push(setRole(role));
    if (mayRemove(open, member.role))
      items.push({
        label: "Remove from group",
        isDangerous: true,
        run: () => void attempt(() => client.removeMember(open.id, member.user)),
      });
    openMenu(opener, { items });
  };
  const drawMembers = (open: View) => {
    people.hidden = open.kind === "direct" || !isMember(open);
    if (people.hidden) return reconcile(members, []);
    const all = knownMembers(open).sort(
      (a, b) => order[a.role] - order[b.role] || (a.user < b.user ? -1 : 1),
    );
    membersHead.textContent = knowsAllMembers(open)
      ? `${all.length} members`
      : `${all.length} of ${memberCount(open)} members`;
    adding.hidden = !isAdmin(open);
    reconcile(
      members,
      all.map((member) => ({
        key: `${open.id} ${member.user}`,
        make: () => el("li", { attributes: { "data-testid": "member", "data-user": member.user } }),
        update(row) {
          const presence = views.presences.get(member.user);
          const facts = JSON.stringify([member, presence, isOwner(open), isAdmin(open)]);
          if (row.dataset.facts === facts) return;
          row.dataset.facts = facts;
          const more = iconButton("more", `Actions for ${member.user}`, () =>
            memberMenu(open, member, more),
          );
          more.dataset.focus = "more";
          const isSelf = member.user === user;
          rebuild(
            row,
            avatar(member.user, isSelf ? "online" : presence?.status),
            el(
              "span",
              { className: "who" },
              el("span", {}, isSelf ? `${member.user} (you)` : member.user),
              !isSelf && el("small", {}, presenceOf(presence)),
            ),
            member.role !== "member" && el("span", { className: "role" }, roleNames[member.role]),
            !isSelf && more,
          );
        },
      })),
    );
  };
  const add = () =>
    fieldsForm("Add", [{ label: "Add members, with commas", name: "add" }], async ([text = ""]) => {
      const open = view();
      if (open) await client.addMembers(open.id, namesIn(text));
    });

  const redraw = () => {
    drawn = "";
    context.refresh();
  };
  const render = () => {
    const open = view();
    element.hidden = !open || !context.isDetailed;
    if (!open || element.hidden) {
      shown = undefined;
      return;
    }
    if (shown !== open.id) {
      shown = open.id;
      drawn = "";
      settings.replaceChildren();
      adding.replaceChildren(add());
    }
    const presence = views.presences.get(open.peer);
    const { settings: now, mutedUntilMs, memberships, leftSeq, peer } = open;
    const facts = JSON.stringify([
      ...[open.id, now, mutedUntilMs, memberCount(open), leftSeq, presence],
      ...[memberships.get(user)?.role, views.blocked.has(peer), isMuted(open, Date.now())],
    ]);
    drawMembers(open);
    if (facts === drawn) return;
    drawn = facts;
    drawHead(open);
    drawMute(open);
    drawSettings(open);
    drawDanger(open);
  };
  return { element, render };
}
