// SPDX-License-Identifier: Apache-2.0

// A comparison server for the benchmark: net/http and pgx. It serves the routes of the work loads A, B, C and D with the
// module's statements, prepared, on pooled connections. Statements of one request travel in one batch.
//
//	peer CONFIGURATION   a file written by t/bench/Bench/Peers.pm
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

type statement struct {
	SQL        string   `json:"sql"`
	Parameters []string `json:"parameters"`
}

type work struct {
	Extra []statement `json:"extra_sql"`
	SQL   []statement `json:"sql"`
}

type configuration struct {
	Port        int
	Host        string
	Connections int32
	Settings    map[string]string
	Secret      string
	Works       map[string]work
}

var (
	config configuration
	pool   *pgxpool.Pool
)

const (
	seconds = "2006-01-02T15:04:05"
	millisZ = "2006-01-02T15:04:05.000Z"
)

// ---- the database ----

// Queries do not end with their request: pgx would close the connection of a request that its client has given up.

// A record names the destination of each column.
type record interface {
	field(column string) interface{}
}

func scan(rows pgx.Rows, into record) error {
	columns := rows.FieldDescriptions()
	targets := make([]interface{}, len(columns))
	for i := range columns {
		targets[i] = into.field(string(columns[i].Name))
	}
	return rows.Scan(targets...)
}

type values map[string]interface{}

func (v values) of(s statement) []interface{} {
	list := make([]interface{}, len(s.Parameters))
	for i, name := range s.Parameters {
		list[i] = v[name]
	}
	return list
}

// Runs the statements in one batch; each row of the last one is passed to next.
func run(statements []statement, v values, next ...func(pgx.Rows) error) error {
	batch := &pgx.Batch{}
	for _, s := range statements {
		batch.Queue(s.SQL, v.of(s)...)
	}
	results := pool.SendBatch(context.Background(), batch)
	defer results.Close()
	for i := range statements {
		rows, err := results.Query()
		if err != nil {
			return err
		}
		for rows.Next() {
			if first := len(statements) - len(next); i >= first {
				if err := next[i-first](rows); err != nil {
					rows.Close()
					return err
				}
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Runs one statement and scans its only row; false if there is none.
func one(s statement, v values, into record) (bool, error) {
	rows, err := pool.Query(context.Background(), s.SQL, v.of(s)...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return false, rows.Err()
	}
	return true, scan(rows, into)
}

// ---- the caller ----

var errUnauthorized = errors.New("unauthorized")

func part(text string, into interface{}) error {
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	return json.Unmarshal(decoded, into)
}

// Returns the id of the user of a JSON Web Token.
func caller(r *http.Request) (string, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errUnauthorized
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "", errUnauthorized
	}
	mac := hmac.New(sha256.New, []byte(config.Secret))
	io.WriteString(mac, token[:len(parts[0])+1+len(parts[1])])
	if !hmac.Equal(mac.Sum(nil), signature) {
		return "", errUnauthorized
	}
	var header struct{ Alg string }
	var claims struct {
		Iss, Sub, Type string
		Exp            int64
	}
	if part(parts[0], &header) != nil || part(parts[1], &claims) != nil {
		return "", errUnauthorized
	}
	if header.Alg != "HS256" || claims.Iss != "learnhub" || claims.Type != "access" || claims.Exp < time.Now().Unix() {
		return "", errUnauthorized
	}
	return claims.Sub, nil
}

// ---- answers ----

func answer(w http.ResponseWriter, value interface{}) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err = w.Write(body)
	return err
}

func fail(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"detail":%q}`, sentence)
}

// Times and ids as the API writes them.
type oid []byte

func (id oid) MarshalJSON() ([]byte, error) { return []byte(`"` + hex.EncodeToString(id) + `"`), nil }

type plainTime struct{ time.Time }

func (t plainTime) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"` + seconds + `"`)), nil
}

type zuluTime struct{ time.Time }

func (t zuluTime) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"` + seconds + `Z"`)), nil
}

type milliTime struct{ time.Time }

func (t milliTime) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"` + millisZ + `"`)), nil
}

// ---- A ----

type problem struct {
	ID            oid             `json:"id"`
	Title         string          `json:"title"`
	Description   string          `json:"description"`
	Difficulty    string          `json:"difficulty"`
	Categories    json.RawMessage `json:"categories"`
	EstimatedTime *string         `json:"estimated_time"`
	Requirements  json.RawMessage `json:"requirements"`
	Constraints   json.RawMessage `json:"constraints"`
	Hints         json.RawMessage `json:"hints"`
	CreatedBy     string          `json:"created_by"`
	CreatedAt     plainTime       `json:"created_at"`
	UpdatedAt     plainTime       `json:"updated_at"`
}

func (p *problem) field(column string) interface{} {
	switch column {
	case "id":
		return (*[]byte)(&p.ID)
	case "title":
		return &p.Title
	case "description":
		return &p.Description
	case "difficulty":
		return &p.Difficulty
	case "categories":
		return (*[]byte)(&p.Categories)
	case "estimated_time":
		return &p.EstimatedTime
	case "requirements":
		return (*[]byte)(&p.Requirements)
	case "constraints":
		return (*[]byte)(&p.Constraints)
	case "hints":
		return (*[]byte)(&p.Hints)
	case "created_by":
		return &p.CreatedBy
	case "created_at":
		return &p.CreatedAt.Time
	case "updated_at":
		return &p.UpdatedAt.Time
	}
	return nil
}

func getProblem(w http.ResponseWriter, r *http.Request) error {
	var p problem
	found, err := one(config.Works["A"].SQL[0], values{"id": r.URL.Path[len("/problems/"):]}, &p)
	if err != nil {
		return err
	}
	if !found {
		fail(w, 404, "Problem not found.")
		return nil
	}
	return answer(w, &p)
}

// ---- B ----

type user struct {
	ID        oid       `json:"id"`
	FirstName string    `json:"first_name"`
	LastName  string    `json:"last_name"`
	Email     string    `json:"email"`
	CreatedAt plainTime `json:"created_at"`
}

func (u *user) field(column string) interface{} {
	switch column {
	case "id":
		return (*[]byte)(&u.ID)
	case "first_name":
		return &u.FirstName
	case "last_name":
		return &u.LastName
	case "email":
		return &u.Email
	case "created_at":
		return &u.CreatedAt.Time
	}
	return nil
}

func getUser(w http.ResponseWriter, r *http.Request) error {
	me, err := caller(r)
	if err != nil {
		return err
	}
	var u user
	found, err := one(config.Works["B"].SQL[0], values{"me": me}, &u)
	if err != nil {
		return err
	}
	if !found {
		fail(w, 404, "User not found.")
		return nil
	}
	return answer(w, &u)
}

// ---- C ----

type creator struct {
	ID        int64  `json:"id"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Email     string `json:"email"`
	Role      string `json:"role"`
}

type session struct {
	ID               int64    `json:"id"`
	Title            string   `json:"title"`
	Description      string   `json:"description"`
	Date             zuluTime `json:"date"`
	MaxParticipants  int64    `json:"max_participants"`
	Creator          creator  `json:"creator"`
	Status           string   `json:"status"`
	CreatedAt        zuluTime `json:"created_at"`
	UpdatedAt        zuluTime `json:"updated_at"`
	ParticipantCount int64    `json:"participant_count"`
	IsFull           bool     `json:"is_full"`
	AvailableSpots   int64    `json:"available_spots"`
	CanJoin          bool     `json:"can_join"`
}

func (s *session) field(column string) interface{} {
	switch column {
	case "id":
		return &s.ID
	case "title":
		return &s.Title
	case "description":
		return &s.Description
	case "date":
		return &s.Date.Time
	case "max_participants":
		return &s.MaxParticipants
	case "creator.id":
		return &s.Creator.ID
	case "creator.first_name":
		return &s.Creator.FirstName
	case "creator.last_name":
		return &s.Creator.LastName
	case "creator.email":
		return &s.Creator.Email
	case "creator.role":
		return &s.Creator.Role
	case "status":
		return &s.Status
	case "created_at":
		return &s.CreatedAt.Time
	case "updated_at":
		return &s.UpdatedAt.Time
	case "participant_count":
		return &s.ParticipantCount
	case "is_full":
		return &s.IsFull
	case "available_spots":
		return &s.AvailableSpots
	case "can_join":
		return &s.CanJoin
	}
	return nil
}

type page struct {
	Count    int64     `json:"count"`
	Next     *string   `json:"next"`
	Previous *string   `json:"previous"`
	Results  []session `json:"results"`
}

func number(text string, otherwise, most int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return otherwise
	}
	return n
}

func link(r *http.Request, number, size int) *string {
	url := fmt.Sprintf("http://%s/api/sessions/?page=%d&page_size=%d", r.Host, number, size)
	return &url
}

func listSessions(w http.ResponseWriter, r *http.Request) error {
	if _, err := caller(r); err != nil {
		return err
	}
	query := r.URL.Query()
	at, size := number(query.Get("page"), 1, 1<<30), number(query.Get("page_size"), 10, 100)
	p := page{Results: make([]session, 0, size)}
	v := values{"limit": strconv.Itoa(size), "offset": strconv.Itoa((at - 1) * size)}
	err := run(config.Works["C"].SQL, v,
		func(rows pgx.Rows) error { return rows.Scan(&p.Count) },
		func(rows pgx.Rows) error {
			p.Results = append(p.Results, session{})
			return scan(rows, &p.Results[len(p.Results)-1])
		})
	if err != nil {
		return err
	}
	if int64(at*size) < p.Count {
		p.Next = link(r, at+1, size)
	}
	if at > 1 {
		p.Previous = link(r, at-1, size)
	}
	return answer(w, &p)
}

// ---- D ----

type saved struct {
	ID           oid             `json:"id"`
	UserID       string          `json:"user_id"`
	ProblemID    oid             `json:"problem_id"`
	DiagramData  json.RawMessage `json:"diagram_data"`
	DiagramHash  string          `json:"diagram_hash"`
	TimeSpent    int64           `json:"time_spent"`
	Status       string          `json:"status"`
	ChatMessages json.RawMessage `json:"chat_messages"`
	LastSavedAt  milliTime       `json:"last_saved_at"`
	StartedAt    milliTime       `json:"started_at"`
	EndedAt      *milliTime      `json:"ended_at"`
	CreatedAt    milliTime       `json:"created_at"`
	UpdatedAt    milliTime       `json:"updated_at"`
	ended        *time.Time
	failure      *string
}

func (s *saved) field(column string) interface{} {
	switch column {
	case "id":
		return (*[]byte)(&s.ID)
	case "user_id":
		return &s.UserID
	case "problem_id":
		return (*[]byte)(&s.ProblemID)
	case "diagram_hash":
		return &s.DiagramHash
	case "time_spent":
		return &s.TimeSpent
	case "status":
		return &s.Status
	case "chat_messages":
		return (*[]byte)(&s.ChatMessages)
	case "last_saved_at":
		return &s.LastSavedAt.Time
	case "started_at":
		return &s.StartedAt.Time
	case "ended_at":
		return &s.ended
	case "created_at":
		return &s.CreatedAt.Time
	case "updated_at":
		return &s.UpdatedAt.Time
	case "!":
		return &s.failure
	}
	return nil
}

// The MD5 of a diagram as compact JSON with sorted keys.
func canonicalHash(diagram []byte) (string, error) {
	decoder := json.NewDecoder(bytes.NewReader(diagram))
	decoder.UseNumber()
	var value map[string]interface{}
	if err := decoder.Decode(&value); err != nil {
		return "", err
	}
	var canonical bytes.Buffer
	encoder := json.NewEncoder(&canonical)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	sum := md5.Sum(bytes.TrimSuffix(canonical.Bytes(), []byte("\n")))
	return hex.EncodeToString(sum[:]), nil
}

func save(v values, diagram []byte) (found bool, s *saved, err error) {
	s = &saved{}
	for _, extra := range config.Works["D1"].Extra {
		if found, err = one(extra, v, s); found || err != nil {
			return
		}
	}
	if v["hash"], err = canonicalHash(diagram); err != nil {
		return
	}
	err = run(config.Works["D1"].SQL, v, func(rows pgx.Rows) error {
		found = true
		return scan(rows, s)
	})
	return
}

func autosave(w http.ResponseWriter, r *http.Request) error {
	me, err := caller(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
	if err != nil {
		return err
	}
	var sent struct {
		DiagramData json.RawMessage `json:"diagram_data"`
		TimeSpent   *int64          `json:"time_spent"`
	}
	if json.Unmarshal(body, &sent) != nil || len(sent.DiagramData) == 0 || sent.TimeSpent == nil {
		fail(w, 422, "diagram_data and time_spent are required.")
		return nil
	}
	fingerprint := sha256.Sum256(sent.DiagramData)
	id := strings.TrimSuffix(r.URL.Path[len("/sessions/"):], "/autosave")
	found, s, err := save(values{"id": id, "me": me, "time_spent": strconv.FormatInt(*sent.TimeSpent, 10),
		"fingerprint": hex.EncodeToString(fingerprint[:]), "diagram_data": string(sent.DiagramData)}, sent.DiagramData)
	if err != nil {
		return err
	}
	if !found || s.failure != nil {
		fail(w, 404, "Session not found.")
		return nil
	}
	s.DiagramData = sent.DiagramData
	if s.ended != nil {
		s.EndedAt = &milliTime{*s.ended}
	}
	return answer(w, s)
}

// ---- the server ----

func route(r *http.Request) func(http.ResponseWriter, *http.Request) error {
	path := r.URL.Path
	switch {
	case r.Method == "GET" && strings.HasPrefix(path, "/problems/"):
		return getProblem
	case r.Method == "GET" && path == "/users/me":
		return getUser
	case r.Method == "GET" && path == "/api/sessions/":
		return listSessions
	case r.Method == "PUT" && strings.HasPrefix(path, "/sessions/") && strings.HasSuffix(path, "/autosave"):
		return autosave
	}
	return nil
}

func serve(w http.ResponseWriter, r *http.Request) {
	handler := route(r)
	if handler == nil {
		fail(w, 404, "Not found.")
		return
	}
	err := handler(w, r)
	if err == errUnauthorized {
		fail(w, 401, "Not authenticated.")
	} else if err != nil {
		log.Print(err)
		fail(w, 500, "Internal error.")
	}
}

func connect() error {
	settings, err := pgxpool.ParseConfig("host=" + config.Host + " port=5432 user=learnhub dbname=learnhub sslmode=disable")
	if err != nil {
		return err
	}
	settings.MaxConns = config.Connections
	for name, value := range config.Settings {
		settings.ConnConfig.RuntimeParams[name] = value
	}
	pool, err = pgxpool.ConnectConfig(context.Background(), settings)
	return err
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err == nil {
		err = connect()
	}
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+strconv.Itoa(config.Port), http.HandlerFunc(serve)))
}
