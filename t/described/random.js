// SPDX-License-Identifier: Apache-2.0
// Random values from a seed: those that a schema describes, at its limits, and others.

export class Random {
    constructor(seed) {
        this.state = seed >>> 0;
    }

    // 0 <= x < 1 (mulberry32)
    next() {
        this.state = (this.state + 0x6d2b79f5) >>> 0;
        let t = this.state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    }

    below(n) {
        return Math.floor(this.next() * n);
    }

    between(min, max) {
        return min + Math.floor(this.next() * (max - min + 1));
    }

    chance(p) {
        return this.next() < p;
    }

    pick(list) {
        return list[this.below(list.length)];
    }
}

const letters = [...'abcdefghijklmnopqrstuvwxyzABCXYZ0123456789 .,-_'];
const wide = ['ä', 'ß', 'é', '你', '𝄞', '😀', 'ﷺ', '\u0301', '\u200b', '\u202e', '\u{10ffff}', '\u00a0', 'İ',
    '\u2028'];

export const hostile = ["' OR 1=1 --", '"; DROP TABLE learnhub.users; --', '$1', ':me', '%s%s%n', '{{7*7}}',
    '${jndi:x}',
    '<script>alert(1)</script>', '../../etc/passwd', '\\', '\\u0000', '\u0000', 'a\u0000b', '\u001b[31m', '\r\nX: y',
    '\t',
    '\ud800', '(a+)+$', '[', '(?=', '*', 'null', 'NaN', '-0', '1e999', '0x10', 'true', '[]', '{}', ' ', '\u3000',
    '\ufeff',
    '\u202e', 'x'.repeat(300), '😀'.repeat(120), 'x'.repeat(11000), 'İ'.repeat(260), '/', '.', '..', '%00', '%2F', 'é'];

export const others = [null, true, false, 0, 1, -1, 1.5, -0.001, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, 1e20, 1e308, '', ' ',
    'x', '0', '1', 'true', 'False', '2030-01-01', '2030-01-01T00:00:00Z', '2030-02-30T00:00:00Z', '0000-00-00',
    '24:00:00',
    '25:00:00', '00:00:00', 'a@b', 'a@example.org', '#12345g', '+0', [], {}, [null], [1], [[]], ['x'], [{}], { a: 1 },
    { length: 1 }, { $ref: '#' }, { __proto__x: 1 }, Array(200).fill('x')];

// Reads the small regular expressions of the description: classes, escapes, groups, alternatives, quantifiers. Each
// part is a function that returns a text.
class Pattern {
    constructor(source, random) {
        this.source = source;
        this.random = random;
        this.at = 0;
    }

    get char() {
        return this.source[this.at];
    }

    escaped() {
        const char = this.source[this.at + 1];
        this.at += 2;
        return char;
    }

    ofClass() {
        const members = [];
        this.at += 1;
        const negated = this.char === '^';
        if (negated) this.at += 1;
        while (this.char !== ']') {
            const from = this.char === '\\' ? this.escaped() : this.source[this.at++];
            if (this.char === '-' && this.source[this.at + 1] !== ']') {
                members.push([from.codePointAt(0), this.source.codePointAt(this.at + 1)]);
                this.at += 2;
            } else members.push([from.codePointAt(0), from.codePointAt(0)]);
        }
        this.at += 1;
        return () => (negated ? 'q' : String.fromCodePoint(this.random.between(...this.random.pick(members))));
    }

    one() {
        if (this.char === '[') return this.ofClass();
        if (this.char === '(') {
            const sign = /^\(\?[:!=]/.exec(this.source.slice(this.at))?.[0] ?? '(';
            this.at += sign.length;
            const inner = this.alternatives();
            this.at += 1;
            return sign.length > 2 && !sign.endsWith(':') ? () => '' : inner; // what must not follow is ignored
        }
        if (this.char === '\\') {
            const char = this.escaped();
            return () => ({ d: String(this.random.below(10)), w: 'w', s: ' ', S: 'x' }[char] ?? char);
        }
        const char = this.source[this.at++];
        return () => (char === '.' ? 'x' : char);
    }

    repeated() {
        const one = this.one();
        const found = /^(?:\{(\d+)(?:(,)(\d*))?\}|([?*+]))/.exec(this.source.slice(this.at));
        if (!found) return one;
        const [all, least, comma, most, sign] = found;
        this.at += all.length;
        const min = Number(least ?? (sign === '+' ? 1 : 0));
        const max = sign ? { '?': 1, '*': 3, '+': 4 }[sign] : Number((comma ? most : least) || min + 3);
        return () => Array.from({ length: this.random.between(min, Math.min(max, min + 20)) }, one).join('');
    }

    alternatives() {
        const choices = [[]];
        while (this.char !== undefined && this.char !== ')') {
            if (this.char === '|') choices.push([]);
            if (/[|^$]/.test(this.char)) this.at += 1;
            else choices.at(-1).push(this.repeated());
        }
        return () => this.random.pick(choices).map((part) => part()).join('');
    }
}

export const matching = (pattern, random) => new Pattern(pattern, random).alternatives()();

const pad = (n, width = 2) => String(n).padStart(width, '0');
const day = (random) => `20${random.between(10, 40)}-${pad(random.between(1, 12))}-${pad(random.between(1, 28))}`;

function text(schema, random, atLimit) {
    const min = schema.minLength ?? 0;
    const max = schema.maxLength ?? min + 40;
    const length = atLimit ? random.pick([min, max]) : random.between(min, Math.min(max, min + 40));
    const from = random.chance(0.3) ? wide : letters;
    return Array.from({ length: Math.min(length, 20000) }, () => random.pick(from)).join('');
}

const formats = {
    'date-time': (random) => `${day(random)}T${pad(random.below(24))}:${pad(random.below(60))}:00${random.pick(['Z',
        '+02:00', '.123Z'])}`,
    date: day,
    email: (random) => `p${random.below(1e9)}@example.com`,
    uuid: (random) => matching('[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}', random),
    uri: (random) => `https://example.com/${random.below(1e6)}`,
};

function number(schema, random, atLimit) {
    const min = schema.minimum ?? (schema.exclusiveMinimum ?? -1001) + 1;
    const max = schema.maximum ?? min + 2000;
    if (atLimit) return random.pick([min, max]);
    const value = random.between(min, Math.min(max, min + 2000));
    return schema.type === 'number' && random.chance(0.5) ? Math.min(max, value + 0.25) : value;
}

// Values just beyond the limits of a schema; none, if it has none.
export function beyond(schema, deref) {
    const s = deref(schema) ?? {};
    const found = (s.anyOf ?? s.oneOf ?? []).flatMap((part) => beyond(part, deref));
    if ('maximum' in s) found.push(s.maximum + 1, s.maximum + 1000);
    if ('minimum' in s) found.push(s.minimum - 1);
    if (s.maxLength < 20000) found.push('x'.repeat(s.maxLength + 1), '😀'.repeat(s.maxLength + 1));
    if (s.minLength) found.push('x'.repeat(s.minLength - 1));
    if (s.maxItems < 1000) found.push(Array(s.maxItems + 1).fill('x'));
    if (s.enum) found.push(`${s.enum[0]}x`);
    return found;
}

// A value that the schema describes, as far as it says it in words that are known here. `deref` resolves references.
export function valueOf(schema, random, deref, { atLimit = false, depth = 0 } = {}) {
    const s = deref(schema) ?? {};
    const inner = (part) => valueOf(part, random, deref, { atLimit, depth: depth + 1 });
    if ('const' in s) return s.const;
    if (s.enum) return random.pick(s.enum);
    const choice = s.anyOf ?? s.oneOf;
    if (choice && !s.properties) {
        return inner({ ...s, anyOf: undefined, oneOf: undefined, ...deref(random.pick(choice)) });
    }
    if (s.allOf) return Object.assign({}, ...s.allOf.map(inner), s.properties ? inner({ ...s, allOf: undefined }) : {});
    const type = Array.isArray(s.type) ? random.pick(s.type) : s.type ?? (s.properties ? 'object' : 'string');
    switch (type) {
        case 'null': return null;
        case 'boolean': return random.chance(0.5);
        case 'integer': case 'number': return number({ ...s, type }, random, atLimit);
        case 'array': {
            const min = s.minItems ?? 0;
            const length = random.between(min, Math.min(s.maxItems ?? min + 3, min + 3));
            return Array.from({ length }, () => inner(s.items ?? {}));
        }
        case 'object': {
            const required = new Set(s.required ?? []);
            const names = Object.keys(s.properties ?? {}).filter((name) => required.has(name) || random.chance(0.6));
            if (!names.length && !s.properties) return random.pick([{}, { a: 1 }, { elements: [{ type: 'text' }] }]);
            return depth > 6 ? {} : Object.fromEntries(names.map((name) => [name, inner(s.properties[name])]));
        }
        default:
            if (s.pattern) return matching(s.pattern, random);
            return formats[s.format]?.(random) ?? text(s, random, atLimit);
    }
}
