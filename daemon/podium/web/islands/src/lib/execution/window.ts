// Rows of one height of which only those in view are there: for a Gantt of thousands of task runs and a log of a hundred thousand lines.
// The scroll bar is that of all rows. Rows may be drawn higher than they count (wrapped lines): scrolling then goes row by row.

export interface Rows {
  /** How many rows there are. */
  count(): number;
  /** The element of a row; it is kept and drawn into again. */
  draw(element: HTMLElement, index: number): void;
  /** Called with the rows that are in view. */
  seen?(first: number, last: number): void;
}

const EXTRA = 12;
const HIGHEST = 15_000_000; // browsers cannot scroll further than about twice that

export class RowWindow {
  readonly #host: HTMLElement;
  readonly #rows: Rows;
  readonly #height: number;
  readonly #space = document.createElement("div");
  readonly #shown = document.createElement("div");
  readonly #tag: string;
  readonly #at = new Map<number, HTMLElement>();
  #first = -1;
  #last = -1;
  #frame = 0;
  #tries = 0;
  #tall = false;

  constructor(host: HTMLElement, rows: Rows, height: number, tag = "div") {
    this.#host = host;
    this.#rows = rows;
    this.#height = height;
    this.#tag = tag;
    this.#space.className = "rows-space";
    this.#shown.className = "rows-shown";
    this.#space.append(this.#shown);
    host.replaceChildren(this.#space);
    host.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(host);
  }

  get #scale(): number {
    return Math.max(1, (this.#rows.count() * this.#height) / HIGHEST);
  }

  /** Whether rows may be higher than they count. */
  get tall(): boolean {
    return this.#tall;
  }

  set tall(wanted: boolean) {
    this.#tall = wanted;
    this.#host.classList.toggle("stacked", wanted);
  }

  /** The row at the top of what is in view. */
  get top(): number {
    return Math.floor((this.#host.scrollTop * this.#scale) / this.#height);
  }

  /** Whether the end is in view. */
  get atEnd(): boolean {
    return this.#host.scrollHeight - this.#host.scrollTop - this.#host.clientHeight < this.#height * 2;
  }

  /** Draw in the next frame. */
  later(): void {
    this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.#paint(false); });
  }

  /** Draw all rows in view again. */
  refresh(): void {
    this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.#paint(true); });
  }

  toEnd(): void {
    this.#size();
    this.#host.scrollTop = this.#host.scrollHeight;
    this.#tries = 20; // its new height may count with the next frame only
    this.refresh();
  }

  /** Bring a row into view, in the middle if it is not there. */
  reveal(index: number): void {
    this.#size();
    const at = (index * this.#height) / this.#scale;
    const { scrollTop, clientHeight } = this.#host;
    if (at < scrollTop + this.#height || at > scrollTop + clientHeight - 2 * this.#height) this.#host.scrollTop = Math.max(0, at - clientHeight / 2);
    this.refresh();
  }

  /** The element of a row, if it is in view. */
  element(index: number): HTMLElement | null {
    return this.#at.get(index) ?? null;
  }

  #size(): void {
    this.#space.style.height = `${Math.min(this.#rows.count() * this.#height, HIGHEST)}px`;
  }

  #paint(all: boolean): void {
    this.#size();
    const count = this.#rows.count();
    if (this.#tries > 0) {
      this.#host.scrollTop = this.#host.scrollHeight;
      const there = this.#host.scrollHeight >= Math.min(count * this.#height, HIGHEST) && this.atEnd;
      this.#tries = there ? 0 : this.#tries - 1;
      if (!there) this.later();
    }
    const room = Math.ceil(this.#host.clientHeight / this.#height);
    const first = Math.max(0, Math.min(this.top - (this.tall ? 0 : EXTRA), count - 1));
    const last = Math.min(count, this.top + room + EXTRA);
    const moved = first !== this.#first || last !== this.#last;
    if (!all && !moved) return;
    this.#first = first;
    this.#last = last;
    const begin = (first * this.#height) / this.#scale;
    if (this.tall) this.#stack(first, last, count, begin);
    else this.#place(first, last, begin, all);
    this.#rows.seen?.(first, last);
  }

  /** Rows of one height, each at its place: those that stay in view are not touched. */
  #place(first: number, last: number, begin: number, all: boolean): void {
    const free: HTMLElement[] = [];
    for (const [index, element] of this.#at) {
      if (index < first || index >= last) {
        this.#at.delete(index);
        free.push(element);
      }
    }
    let next = this.#shown.firstElementChild; // they stand in their order, for who selects and for who listens
    for (let index = first; index < last; index += 1) {
      const known = this.#at.get(index);
      const element = known ?? free.pop() ?? document.createElement(this.#tag);
      if (element === next) next = element.nextElementSibling;
      else this.#shown.insertBefore(element, next);
      if (known && !all) continue;
      this.#at.set(index, element);
      this.#rows.draw(element, index);
      element.style.transform = `translateY(${begin + (index - first) * this.#height}px)`;
    }
    for (const element of free) element.remove();
    this.#shown.style.transform = "";
  }

  /** Rows of any height, one below the other from the first in view. */
  #stack(first: number, last: number, count: number, begin: number): void {
    this.#at.clear();
    const children = this.#shown.children;
    while (children.length > last - first) this.#shown.lastElementChild?.remove();
    while (children.length < last - first) this.#shown.append(document.createElement(this.#tag));
    for (let index = first; index < last; index += 1) {
      const element = children[index - first] as HTMLElement;
      element.style.transform = "";
      this.#rows.draw(element, index);
      this.#at.set(index, element);
    }
    let y = begin;
    if (last >= count) y = Math.max(0, Math.min(y, this.#host.scrollHeight - this.#shown.offsetHeight)); // the last row ends where the list does
    this.#shown.style.transform = `translateY(${y}px)`;
  }
}
