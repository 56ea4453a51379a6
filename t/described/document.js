// SPDX-License-Identifier: Apache-2.0
// The description of the APIs, /openapi.json, as a judge of exchanges: which operation a request is, and what is wrong
// with it and its response. Objects may have described keys only: schemas that do not say otherwise are closed.
import { createRequire } from 'node:module';

// Headers of httpd and of every response, and CORS.
const common = new RegExp(`^(?:date|server|connection|keep-alive|vary|upgrade|cache-control|accept-ranges|last-modified
    |transfer-encoding|content-(?:length|type|encoding|language|range|security-policy)|access-control-.*
    |x-content-type-options|referrer-policy|x-test-.*)$`.replaceAll(/\s+/g, ''));

// Errors of requests that are none of an operation.
const unrouted = /^(?:400|404|405|408|411|412|413|414|415|417|421|429|431|500|501|503|505)$/;

// Statuses of HTTP itself, which any request may get from httpd: parts of responses, and requests that are too long,
// too slow or expect too much. Their errors have the format of the API.
const general = /^(?:206|408|411|413|414|416|417|431)$/;

// Errors that the configuration of a server may add to every path.
const configured = /^(?:401|403|404|410)$/;

// Times in requests may be written in further ways (the APIs' README.md, "Times").
const lenientTime = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d.*)?$/;

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const mediaType = (header) => (header ?? '').split(';')[0].trim().toLowerCase();

export class Document {
    // `packages`: the directory in which node_modules is.
    constructor(source, packages) {
        const require = createRequire(`${packages}/`);
        const Ajv = require('ajv/dist/2020');
        this.source = source;
        this.closedAjv = this.#validator(Ajv, require('ajv-formats'), (schema) => this.#inner(schema));
        this.openAjv = this.#validator(Ajv, require('ajv-formats'), (schema) => this.#moved(schema));
        this.openAjv.addFormat('date-time', lenientTime);
        this.openAjv.addFormat('date', lenientTime);
        this.compiled = new Map();
        this.templates = Object.keys(source.paths).map((template) => this.#template(template))
            .sort((a, b) => a.rank.localeCompare(b.rank));
    }

    #validator(Ajv, addFormats, change) {
        const ajv = new Ajv({ strict: false, allErrors: true, logger: false, unicodeRegExp: true });
        addFormats(ajv);
        const schemas = Object.entries(this.source.components?.schemas ?? {})
            .map(([name, schema]) => [name, change(schema)]);
        ajv.addSchema({ $id: 'document', components: { schemas: Object.fromEntries(schemas) } });
        return ajv;
    }

    // ---- operations ----

    // Literal segments go before parameters; the final slash is optional.
    #template(template) {
        const segments = template.replace(/(?<=.)\/$/, '').split('/');
        const pattern = segments.map((s) => (s.startsWith('{') ? '([^/]+)' : s.replace(/[.*+?^$()|[\]\\]/g, '\\$&')));
        return { template, pattern: new RegExp(`^${pattern.join('/')}/?$`),
            rank: segments.map((s) => (s.startsWith('{') ? '1' : '0')).join('') };
    }

    deref(part) {
        let found = part;
        while (found?.$ref) {
            found = found.$ref.slice(2).split('/').reduce((at, key) =>
                at?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], this.source);
        }
        return found;
    }

    // All operations: {template, method, operation, parameters}.
    operations() {
        const methods = ['get', 'put', 'post', 'delete', 'patch'];
        return Object.entries(this.source.paths).flatMap(([template, item]) =>
            methods.filter((method) => item[method]).map((method) => this.#operation(template, method)));
    }

    #operation(template, method) {
        const item = this.source.paths[template];
        const operation = item[method];
        if (!operation) return null;
        const parameters = [...item.parameters ?? [], ...operation.parameters ?? []].map((p) => this.deref(p));
        return { template, method, operation, parameters, name: `${method.toUpperCase()} ${template}` };
    }

    // The operation of a request, or null.
    find(method, target) {
        const path = normal(target.replace(/\?.*/s, ''));
        const found = this.templates.find(({ pattern }) => pattern.test(path));
        return found ? this.#operation(found.template, method === 'HEAD' ? 'get' : method.toLowerCase()) : null;
    }

    // ---- schemas ----

    #moved(schema) {
        if (Array.isArray(schema)) return schema.map((part) => this.#moved(part));
        if (!isObject(schema)) return schema;
        return Object.fromEntries(Object.entries(schema).map(([key, part]) =>
            [key, key === '$ref' && typeof part === 'string' ? part.replace(/^#/, 'document#') : this.#moved(part)]));
    }

    #hasProperties(schema, depth = 0) {
        const found = this.deref(schema);
        if (!isObject(found) || depth > 8) return false;
        if (found.properties) return true;
        return ['allOf', 'anyOf', 'oneOf'].some((key) => (found[key] ?? [])
            .some((part) => this.#hasProperties(part, depth + 1)));
    }

    // A schema in a place where an object stands: closed, unless it says otherwise.
    #closed(schema) {
        const inner = this.#inner(schema);
        if (!isObject(inner) || !this.#hasProperties(schema)) return inner;
        if ('unevaluatedProperties' in inner || 'additionalProperties' in inner) return inner;
        return { ...inner, unevaluatedProperties: false };
    }

    // A schema that applies together with others to the same object.
    #inner(schema) {
        if (!isObject(schema)) return schema;
        const map = (object, change) => Object.fromEntries(Object.entries(object).map(([k, v]) => [k, change(v)]));
        const inner = { ...schema };
        if (inner.$ref) inner.$ref = inner.$ref.replace(/^#/, 'document#');
        for (const key of ['properties', 'patternProperties']) {
            if (inner[key]) inner[key] = map(inner[key], (part) => this.#closed(part));
        }
        for (const key of ['items', 'additionalProperties', 'unevaluatedProperties', 'contains']) {
            if (isObject(inner[key])) inner[key] = this.#closed(inner[key]);
        }
        if (inner.prefixItems) inner.prefixItems = inner.prefixItems.map((part) => this.#closed(part));
        for (const key of ['allOf', 'anyOf', 'oneOf']) {
            if (inner[key]) inner[key] = inner[key].map((part) => this.#inner(part));
        }
        for (const key of ['if', 'then', 'else', 'not']) if (inner[key]) inner[key] = this.#inner(inner[key]);
        return inner;
    }

    // A function that returns what is wrong with a value. open: unknown keys are allowed.
    checker(schema, { open = false } = {}) {
        const key = `${open} ${JSON.stringify(schema)}`;
        if (!this.compiled.has(key)) {
            const validate = open ? this.openAjv.compile(this.#moved(schema))
                : this.closedAjv.compile(this.#closed(schema));
            this.compiled.set(key, (value) => (validate(value) ? [] : validate.errors.map(sentence)));
        }
        return this.compiled.get(key);
    }

    // ---- responses ----

    response(operation, status) {
        const { responses } = operation.operation;
        return this.deref(responses[status] ?? responses[`${String(status)[0]}XX`] ?? responses.default);
    }

    // What is wrong with a response: {method, status, headers, body}; `body` undefined and `headers` undefined: not
    // recorded.
    responseProblems(operation, { method, status, headers, body }) {
        const described = this.response(operation, status);
        if (!described) return [`undescribed status ${status}`];
        return [...headers ? this.#headerProblems(described, headers) : [],
            ...this.#bodyProblems(described, method, headers, body)];
    }

    // The path of an exchange without the prefix of its server.
    targetOf({ path, prefixes = [] }) {
        const prefix = prefixes.find((start) => path.startsWith(`${start}/`));
        return prefix ? path.slice(prefix.length) : path;
    }

    // The operation and what is wrong with the response of an exchange: {method, path, prefixes, status, headers, body,
    // others}. problems null: it is not one of the module, but of another page of its server.
    exchangeProblems(exchange) {
        const target = this.targetOf(exchange);
        const operation = this.find(exchange.method, target);
        if (!operation) return { operation, problems: this.#unroutedProblems(exchange, target) };
        const { status, headers, others } = exchange;
        const described = this.response(operation, status);
        if (others && headers && !this.#media(described?.content ?? {}, mediaType(headers['content-type']))
            && !/json/.test(headers['content-type'] ?? 'json')) return { operation, problems: null };
        if (!described && (general.test(status) || (others && configured.test(status)))) {
            return { operation, problems: status === 206 ? [] : this.#errorProblems(exchange) };
        }
        return { operation, problems: this.responseProblems(operation, exchange) };
    }

    #unroutedProblems(exchange, target) {
        const { method, status, headers, body, others } = exchange;
        this.beginnings ??= new Set(this.templates.map(({ template }) => beginning(template)));
        if (!this.beginnings.has(beginning(normal(target.replace(/\?.*/s, ''))))) return null;
        if (method === 'OPTIONS' && status < 300) return body ? ['a body of OPTIONS'] : [];
        if (others && (status < 400 || !/json/.test(headers?.['content-type'] ?? ''))) return null;
        if (!unrouted.test(status) && !(others && configured.test(status))) {
            return [`status ${status} of a request that is no operation`];
        }
        return this.#errorProblems(exchange);
    }

    #errorProblems({ method, body }) {
        if (method === 'HEAD' || body === undefined) return [];
        try {
            return this.isError(JSON.parse(body)) ? [] : ['an error in no described format'];
        } catch {
            return ['an error that is not JSON'];
        }
    }

    #headerProblems(described, headers) {
        const known = Object.fromEntries(Object.entries(described.headers ?? {})
            .map(([name, header]) => [name.toLowerCase(), this.deref(header)]));
        const problems = [];
        for (const [name, header] of Object.entries(known)) {
            if (header.required && !(name in headers)) problems.push(`header ${name} is missing`);
            if (name in headers && header.schema) {
                problems.push(...this.checker(header.schema)(asType(header.schema, headers[name], this))
                    .map((problem) => `header ${name}: ${problem}`));
            }
        }
        const undescribed = Object.keys(headers).filter((name) => !(name in known) && !common.test(name));
        return [...problems, ...undescribed.map((name) => `undescribed header ${name}`)];
    }

    #bodyProblems(described, method, headers, body) {
        const content = described.content ?? {};
        const type = mediaType(headers?.['content-type']);
        if (!Object.keys(content).length) return body ? ['a body, but none is described'] : [];
        if (headers && method !== 'HEAD' && !this.#media(content, type)) return [`undescribed media type "${type}"`];
        const media = this.#media(content, headers ? type : 'application/json');
        if (method === 'HEAD' || body === undefined || !media?.schema) return [];
        if (!/json$/.test(headers ? type : 'application/json')) {
            return typeof body === 'string' && media.schema.type === 'string' ? this.checker(media.schema)(body) : [];
        }
        let value;
        try {
            value = JSON.parse(body);
        } catch {
            return ['the body is not JSON'];
        }
        return this.checker(media.schema)(value);
    }

    #media(content, type) {
        return content[type] ?? content[`${type.split('/')[0]}/*`] ?? content['*/*'];
    }

    // ---- requests ----

    // The schema of a JSON body; undefined: none is described.
    bodySchema(operation, type = 'application/json') {
        return this.deref(operation.operation.requestBody)?.content?.[type]?.schema;
    }

    // What the description says is wrong with a request's path, query and JSON body.
    requestProblems(operation, target, type, body) {
        return [...this.pathProblems(operation, target), ...this.queryProblems(operation, target),
            ...this.bodyProblems(operation, type, body)];
    }

    pathProblems(operation, target) {
        const { pattern } = this.templates.find(({ template }) => template === operation.template);
        const values = pattern.exec(normal(target.replace(/\?.*/s, ''))).slice(1);
        const names = [...operation.template.matchAll(/\{([^}]*)\}/g)].map(([, name]) => name);
        return operation.parameters.filter((parameter) => parameter.in === 'path').flatMap(({ name, schema }) => {
            const value = decoded(values[names.indexOf(name)]);
            if (value === null) return [`path ${name} cannot be decoded`];
            return this.checker(schema)(asType(schema, value, this)).map((problem) => `path ${name}: ${problem}`);
        });
    }

    bodyProblems(operation, type, body) {
        const described = this.deref(operation.operation.requestBody);
        if (!described) return [];
        if (body === undefined || body === '') return described.required ? ['the body is missing'] : [];
        const media = mediaType(type || 'application/json');
        if (!described.content?.[media]) return [`undescribed media type "${media}" of the request`];
        if (media !== 'application/json') return [];
        let value;
        try {
            value = JSON.parse(body);
        } catch {
            return ['the body of the request is not JSON'];
        }
        return this.checker(described.content[media].schema, { open: true })(value)
            .map((problem) => `request: ${problem}`);
    }

    // An empty value counts as absent, and the last one of several is used.
    queryProblems(operation, target) {
        const query = new URLSearchParams(target.replace(/^[^?]*\??/s, ''));
        const problems = [];
        for (const { name, schema, required, in: where } of operation.parameters) {
            if (where !== 'query') continue;
            const value = query.getAll(name).at(-1);
            if (value === undefined || value === '') {
                if (required) problems.push(`query ${name} is missing`);
            } else {
                problems.push(...this.checker(schema, { open: true })(asType(schema, value, this))
                    .map((problem) => `query ${name}: ${problem}`));
            }
        }
        return problems;
    }

    // Whether a body is an error in one of the described formats.
    isError(body) {
        this.errors ??= [...new Set(this.operations().flatMap(({ operation }) => Object.keys(operation.responses)
            .filter((status) => /^[45]/.test(status))
            .map((status) => JSON.stringify(this.deref(operation.responses[status]).content?.['application/json']
                ?.schema ?? null))))].filter((text) => text !== 'null').map((text) => this.checker(JSON.parse(text)));
        return this.errors.some((check) => !check(body).length);
    }
}

function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return null;
    }
}

// A path as httpd matches it: without empty segments, `.` and `..`.
function normal(path) {
    const segments = [];
    for (const segment of path.replaceAll(/%2e/gi, '.').split('/').slice(1)) {
        if (segment === '..') segments.pop();
        else if (segment !== '.' && segment !== '') segments.push(segment);
    }
    return `/${segments.join('/')}`;
}

// The part of a path by which the module claims it.
const beginning = (path) => /^(?:\/api)?\/[^/]*/.exec(path)[0];

// Text of a header or a query as a value of the schema's type.
export function asType(schema, text, document) {
    const { type, anyOf, oneOf } = document.deref(schema);
    const types = [type, ...(anyOf ?? oneOf ?? []).map((part) => document.deref(part).type)].flat();
    if ((types.includes('integer') || types.includes('number')) && /^[+-]?\d+(\.\d+)?$/.test(text)) {
        return Number(text);
    }
    if (types.includes('boolean') && /^(true|false)$/.test(text)) return text === 'true';
    return text;
}

const sentence = ({ instancePath, message, params }) => {
    const value = params.unevaluatedProperty ?? params.additionalProperty ?? params.allowedValues;
    return `${instancePath || '/'} ${message}${value === undefined ? '' : `: ${value}`}`;
};
