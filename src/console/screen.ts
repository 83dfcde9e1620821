/** What `amqproxy top` shows, and what each key does: pure, without a terminal. */
import type { Row } from './history.ts';
import { byMost } from './order.ts';
import { type Column, type ViewName, viewOf } from './table.ts';
import { cut, duration, number, printable, table } from './text.ts';

/** Views by their key. */
export const TABS: [key: string, view: ViewName][] = [
  ['p', 'pools'],
  ['c', 'clients'],
  ['u', 'upstreams'],
  ['b', 'brokers'],
  ['e', 'events'],
];

interface Place {
  view: ViewName;
  filters: string[];
  selected: number;
  /** The column that the rows are sorted by; null for what matters most. */
  sort: Column | null;
}

const place = (view: ViewName, filters: string[] = []): Place => ({ view, filters, selected: 0, sort: null });

export class Screen {
  /** Where it was before, for going back. */
  private readonly stack: Place[] = [];
  private at = place('pools');
  private rows: Row[] = [];
  private stats: Row[] = [];
  /** What is being typed as a filter; null when nothing is. */
  private typed: string | null = null;
  private trouble = '';

  get view(): ViewName {
    return this.at.view;
  }

  get filters(): string[] {
    return this.at.filters;
  }

  show(rows: Row[], stats: Row[]): void {
    this.trouble = '';
    this.stats = stats;
    const { sort, view } = this.at;
    if (view === 'events') this.rows = [...rows].reverse();
    else this.rows = [...rows].sort(sort === null ? byMost(viewOf(view).order) : byColumn(sort));
    this.at.selected = Math.max(0, Math.min(this.at.selected, this.rows.length - 1));
  }

  fails(why: string): void {
    this.trouble = why;
  }

  // ---- keys

  /** What a key does: `quit`, `ask` where other rows are wanted, else only another look at those that are there. */
  key(key: string): 'quit' | 'ask' | 'draw' {
    if (key === '\x03') return 'quit';
    if (this.typed !== null) return this.type(key);
    const tab = TABS.find(([letter]) => letter === key);
    if (tab !== undefined) return this.go(place(tab[1]));
    switch (key) {
      case 'q':
        return 'quit';
      case '\x1b[A':
      case 'k':
        this.at.selected = Math.max(0, this.at.selected - 1);
        return 'draw';
      case '\x1b[B':
      case 'j':
        this.at.selected = Math.min(this.rows.length - 1, this.at.selected + 1);
        return 'draw';
      case '\r':
        return this.drill();
      case '\x1b':
      case '\x7f':
        this.at = this.stack.pop() ?? this.at;
        return 'ask';
      case 's':
        return this.sortByNext(1);
      case 'S':
        return this.sortByNext(-1);
      case '/':
        this.typed = '';
        return 'draw';
      default:
        return 'draw';
    }
  }

  private go(to: Place): 'ask' {
    this.stack.push(this.at);
    if (this.stack.length > 20) this.stack.shift();
    this.at = to;
    this.rows = [];
    return 'ask';
  }

  /** From a pool to its clients, from a client to its upstreams, from an upstream or a broker to who uses it. */
  private drill(): 'ask' | 'draw' {
    const row = this.rows[this.at.selected];
    if (row === undefined) return 'draw';
    const id = String(row.id);
    switch (this.at.view) {
      case 'pools':
        return this.go(place('clients', [`pool=${id}`]));
      case 'clients':
        return this.go(place('upstreams', [id]));
      case 'upstreams':
        return this.go(place('clients', [id]));
      case 'brokers':
        return this.go(place('upstreams', [`broker=${id}`]));
      default:
        return 'draw';
    }
  }

  private sortByNext(step: number): 'ask' {
    const columns = viewOf(this.at.view).columns;
    const now = this.at.sort === null ? -1 : columns.indexOf(this.at.sort);
    const next = (now + 1 + step + columns.length + 1) % (columns.length + 1);
    this.at.sort = next === 0 ? null : columns[next - 1];
    return 'ask';
  }

  private type(key: string): 'ask' | 'draw' {
    if (key === '\r') {
      const words = this.typed!.split(' ').filter(word => word !== '');
      this.typed = null;
      return this.go({ ...place(this.at.view, words), sort: this.at.sort });
    }
    if (key === '\x1b') this.typed = null;
    else if (key === '\x7f') this.typed = this.typed!.slice(0, -1);
    else if (!/\p{Cc}/u.test(key)) this.typed += key;
    return 'draw';
  }

  // ---- the picture

  lines(columns: number, rows: number): string[] {
    const { view, filters, sort, selected } = this.at;
    const lines = table(viewOf(view), this.rows, columns);
    const room = Math.max(1, rows - 5);
    // the selected row stays in sight, with the heading above
    const first = Math.max(0, Math.min(selected - room + 2, lines.length - room));
    const body = lines.slice(1 + first, first + room);
    const picked = 1 + selected - 1 - first;
    const what = `${view}${filters.length > 0 ? ` where ${filters.join(' ')}` : ''}${sort === null ? '' : `, by ${sort.title}`}`;
    const keys = `${TABS.map(([key, name]) => `${key} ${name}`).join('  ')}  ⏎ into  esc back  s sort  / filter  q quit`;
    return [
      cut(this.summary(), columns),
      cut(this.trouble === '' ? printable(what) : printable(this.trouble), columns),
      `\x1b[7m${(lines[0] ?? '').padEnd(columns)}\x1b[0m`,
      ...body.map((line, i) => (i === picked ? `\x1b[1m${line}\x1b[0m` : line)),
      ...Array.from({ length: Math.max(0, rows - 4 - body.length) }, () => ''),
      cut(this.typed === null ? keys : `filter: ${printable(this.typed)}`, columns),
    ];
  }

  private summary(): string {
    const now = this.stats[0];
    if (now === undefined) return 'amqproxy';
    const rate = (key: string): string => number(Number(now[key]));
    return `amqproxy  ${rate('logins')} logins/s  ${rate('leases')} leases/s  in ${rate('published')}/s  out ${rate('delivered')}/s  lease p99 ${duration(Number(now.lease_p99))}  barrier p99 ${duration(Number(now.barrier_p99))}`;
  }
}

/** Numbers from the largest, texts by the alphabet. */
function byColumn({ key, form }: Column): (a: Row, b: Row) => number {
  if (form === 'text' || form === 'time') return (a, b) => String(a[key]).localeCompare(String(b[key]));
  return (a, b) => Number(b[key]) - Number(a[key]);
}
