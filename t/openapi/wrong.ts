// SPDX-License-Identifier: Apache-2.0
// Does not compile: the body has a field that the operation lacks, and the response a key that it does not have.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const body: components["schemas"]["TutoringCreateBody"] = {
    title: "Typed",
    description: "All of it",
    date: "2040-01-20T16:00:00Z",
    max_participants: 6,
    seats: 6,
};
const { data } = await createClient<paths>({ baseUrl: "" }).POST("/api/sessions/", { body });
console.log(data?.seats);
