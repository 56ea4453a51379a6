// SPDX-License-Identifier: Apache-2.0
// Does not compile: the body has a field that the operation lacks, and the response a key that it does not have.
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const api = createClient<paths>({ baseUrl: "" });
const { data } = await api.POST("/api/sessions/", {
    body: { title: "Typed", description: "All of it", date: "2040-01-20T16:00:00Z", max_participants: 6, seats: 6 },
});
console.log(data?.seats);
