import type { Client, Conversation, ConversationEvent } from "../src/index.ts";

/** A message of ours that the server has not answered, or has refused. */
export interface Draft {
  readonly clientMessageId: string;
  readonly text: string;
  failure: string;
}

/** What the page knows of one conversation. */
export interface Thread {
  conversation: Conversation;
  events: ConversationEvent[];
  drafts: Draft[];
  unread: number;
  /** There are older events than the first of `events`. */
  hasOlder: boolean;
}

export interface Store {
  readonly threads: ReadonlyMap<string, Thread>;
  readonly open: string | undefined;
  show(id: string | undefined): void;
  loadOlder(id: string): Promise<void>;
  send(id: string, text: string): void;
  retry(id: string, draft: Draft): void;
  add(conversation: Conversation): void;
}

/** Events are kept once each, by number, whether they came live, on resume or as history. */
function merge(thread: Thread, events: readonly ConversationEvent[]): void {
  const known = new Set(thread.events.map((event) => event.seq));
  const fresh = events.filter((event) => !known.has(event.seq));
  if (fresh.length) thread.events = [...thread.events, ...fresh].sort((a, b) => a.seq - b.seq);
  const arrived = new Set(
    events.flatMap(({ content }) => (content.kind === "message" ? [content.clientMessageId] : [])),
  );
  thread.drafts = thread.drafts.filter((draft) => !arrived.has(draft.clientMessageId));
}

export function createStore(client: Client, user: string, changed: () => void): Store {
  const threads = new Map<string, Thread>();
  let open: string | undefined;

  const add = (conversation: Conversation) => {
    const thread = threads.get(conversation.id);
    if (thread) thread.conversation = conversation;
    else
      threads.set(conversation.id, {
        conversation,
        events: [],
        drafts: [],
        unread: 0,
        hasOlder: conversation.lastSeq >= conversation.firstSeq,
      });
    changed();
  };
  const post = (id: string, draft: Draft) => {
    draft.failure = "";
    client.send(id, draft.text, { clientMessageId: draft.clientMessageId }).then(
      () => changed(),
      (error: Error) => {
        draft.failure = error.message;
        changed();
      },
    );
    changed();
  };
  const loadOlder = async (id: string) => {
    const thread = threads.get(id);
    if (!thread) return;
    const first = thread.events[0]?.seq;
    try {
      const page = await client.history(id, first === undefined ? {} : { before: first });
      merge(thread, page.events);
      thread.hasOlder = page.hasMore;
      changed();
    } catch {
      // There is no connection: the button for it stays.
    }
  };

  client.on("conversation", add);
  client.on("event", (event) => {
    const thread = threads.get(event.conversationId);
    if (!thread) {
      void refresh();
      return;
    }
    merge(thread, [event]);
    if (event.conversationId !== open && event.sender !== user) thread.unread++;
    changed();
  });
  client.on("gap", ({ conversationId }) => {
    const thread = threads.get(conversationId);
    if (!thread) return;
    thread.events = [];
    thread.hasOlder = true;
    if (conversationId === open) void loadOlder(conversationId);
  });
  const refresh = async () => {
    try {
      for await (const conversation of client.conversations()) add(conversation);
    } catch {
      // The next event asks again.
    }
  };
  return {
    threads,
    add,
    loadOlder,
    get open() {
      return open;
    },
    show(id) {
      open = id;
      const thread = id === undefined ? undefined : threads.get(id);
      if (thread) {
        thread.unread = 0;
        if (thread.hasOlder && thread.events.length < 20) void loadOlder(thread.conversation.id);
      }
      changed();
    },
    send(id, text) {
      const draft = { clientMessageId: crypto.randomUUID(), text, failure: "" };
      threads.get(id)?.drafts.push(draft);
      post(id, draft);
    },
    retry: post,
  };
}
