// SPDX-License-Identifier: GPL-2.0
/* shadow: which requests of another server's log would be answered otherwise. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "oldlog.h"

/* The client as the kernel is asked about it; of length 0 if it is not known. */
static struct endpoint parse_source(const char *string)
{
	size_t len = strcspn(string, "%");
	auto_free char *host = xasprintf("%.*s", (int)len, string);
	struct endpoint from = { 0 };

	if (inet_pton(AF_INET, host, &from.address) == 1)
		from.len = sizeof(struct in_addr);
	else if (inet_pton(AF_INET6, host, &from.address) == 1)
		from.len = sizeof(struct in6_addr);
	if (string[len])
		from.ifindex = if_nametoindex(string + len + 1);
	/* Without its interface, nothing can be told of it. */
	if (from.len == sizeof(struct in6_addr) && !from.ifindex &&
	    IN6_IS_ADDR_LINKLOCAL(&from.address))
		from.len = 0;
	return from;
}

/* Length of a folder's name that --root-by puts before a client's files, or 0. */
static size_t client_folder(const char *path, const char *client)
{
	size_t len = strcspn(path, "/"), i;

	if (len == strlen(client) && !strncmp(path, client, len))
		return len;
	if (len < 17)
		return 0;
	for (i = 0; i < 17; i++) {
		if (!strchr(i % 3 == 2 ? "-:" : "0123456789abcdefABCDEF",
			    path[len - 17 + i]))
			return 0;
	}
	return len;
}

/* The name by which the exports have a file, of the one that is nearest to it. */
static char *name_of_file(const json_t *exports, const char *file, const char *client)
{
	char *name = xasprintf("%s", file);
	size_t best = 0, i;
	json_t *export;

	json_array_foreach(exports, i, export) {
		auto_free char *path = raw_text(export, "path");
		auto_free char *prefix = raw_text(export, "prefix");
		bool by_client = json_is_string(object_get(export, "root-by"));
		size_t len = strlen(path);
		const char *rest;

		len = len == 1 ? 0 : len;
		if (strncmp(path, file, len) != 0 || file[len] != '/' || len + 1 <= best)
			continue;
		best = len + 1;
		rest = file + len + 1;
		if (by_client && client_folder(rest, client))
			rest += client_folder(rest, client) + 1;
		free(name);
		name = xasprintf("%s%s%s", prefix, *prefix ? "/" : "", rest);
	}
	return name;
}

static bool is_same(const struct stat *a, const char *path)
{
	struct stat b;

	return !stat(path, &b) && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/*
 * Is the file that would be served the one that the old server meant, be it by its
 * name below a root that is an export now?
 */
static bool is_meant(const json_t *exports, const json_t *request,
		     const json_t *answer)
{
	auto_free char *meant = raw_text(request, "file");
	auto_free char *file = raw_text(answer, "file");
	json_t *export;
	struct stat st;
	size_t i;

	if (!*meant || !strcmp(meant, file))
		return true;
	/* Not to be seen from here: nothing can be told. */
	if (stat(file, &st) || is_same(&st, meant))
		return true;
	json_array_foreach(exports, i, export) {
		auto_free char *path = raw_text(export, "path");
		auto_free char *prefix = raw_text(export, "prefix");
		const char *name = meant + strspn(meant, "/");
		size_t len = strlen(prefix);
		auto_free char *whole = NULL;

		if (len && (strncmp(name, prefix, len) != 0 || name[len] != '/'))
			continue;
		whole = xasprintf("%s/%s", path, name + len);
		if (is_same(&st, whole))
			return true;
	}
	return false;
}

/* What a client gets that cannot ask. */
static json_t *refusal(const char *reason)
{
	json_t *answer = check_alloc(json_object());

	object_put(answer, "served", json_false());
	object_put(answer, "error-code", json_null());
	object_put(answer, "reason", json_string(reason));
	return answer;
}

/* Only a client that writes learns what the agent says to that. */
static json_t *upload_answer(const json_t *config)
{
	json_t *answer;

	if (!json_is_true(object_get(object_get(config, "settings"), "uploads")))
		return refusal("uploads is off");
	answer = refusal("the agent decides: try 'tftpkctl test --write'");
	object_put(answer, "served", json_null());
	return answer;
}

static char *answer_text(const json_t *answer)
{
	auto_free char *reason = string_text(answer, "reason");

	return json_is_null(object_get(answer, "served")) ?
	       xasprintf("not known: %s", reason) : result_text(answer);
}

/* What would be answered now. Returns NULL after an error message. */
static json_t *ask(struct ctl *ctl, const json_t *config, const json_t *request)
{
	auto_free char *client = raw_text(request, "client");
	auto_free char *file = raw_text(request, "file");
	auto_free char *asked = raw_text(request, "name");
	auto_free char *name = *asked ? xasprintf("%s", asked) :
			       name_of_file(object_get(config, "exports"), file, client);
	struct endpoint from = parse_source(client);
	json_auto_t *reply = NULL;
	const char *source;

	if (json_is_true(object_get(request, "upload")))
		return upload_answer(config);
	if (!*name || strlen(name) > TFTPK_PATH_MAX)
		return refusal("no name of a file");
	if (look_up_file(ctl, name, &from, &reply)) {
		nl_fail(ctl, "shadow: %s", name);
		return NULL;
	}
	source = json_string_value(object_get(reply, "source"));
	if (source && !strcmp(source, "unserved"))
		return refusal("no listener takes this client's requests");
	if (source && !strcmp(source, "unreachable"))
		return refusal("there is no route to this client");
	return make_result(reply, config, name);
}

/* Does the answer differ from the old server's? */
static bool differs(const json_t *config, const json_t *request, const json_t *answer)
{
	bool served = json_is_true(object_get(answer, "served"));

	if (json_is_null(object_get(answer, "served")))
		return true;
	if (served != json_is_true(object_get(request, "served")))
		return true;
	return served && !is_meant(object_get(config, "exports"), request, answer);
}

/* A request and how it was answered, as text. */
static char *request_text(const json_t *request)
{
	auto_free char *client = string_text(request, "client");
	auto_free char *name = string_text(request, "name");
	auto_free char *file = string_text(request, "file");
	bool named = json_is_string(object_get(request, "name"));
	bool filed = json_is_string(object_get(request, "file"));
	bool served = json_is_true(object_get(request, "served"));
	bool upload = json_is_true(object_get(request, "upload"));
	long long count = object_number(request, "count");
	auto_free char *times = count > 1 ? xasprintf(", %lld times", count) :
					    xasprintf("%s", "");

	return xasprintf("%s: %s%s: %s%s%s", client, named ? name : file, times,
			 !served ? "was refused" : upload ? "was taken" : "was sent",
			 named && filed && served ? " as " : "",
			 named && filed && served ? file : "");
}

/* Print the requests alone. */
static int list_requests(const struct ctl *ctl, const struct old_log *log)
{
	const char *key;
	json_t *request, *list = check_alloc(json_array());

	json_object_foreach(log->requests, key, request)
		array_append(list, json_incref(request));
	if (ctl->json)
		return print_json(json_pack("{s:{s:o}}", "shadow", "list", list));
	json_decref(list);
	json_object_foreach(log->requests, key, request) {
		auto_free char *text = request_text(request);

		puts(text);
	}
	return EXIT_SUCCESS;
}

static int compare(struct ctl *ctl, const struct old_log *log, json_t *differences)
{
	json_auto_t *config = NULL;
	const char *key;
	json_t *request;

	if (read_config(ctl, &config))
		return nl_fail(ctl, "shadow");
	json_object_foreach(log->requests, key, request) {
		json_auto_t *answer = ask(ctl, config, request);

		if (!answer)
			return EXIT_FAILURE;
		if (!differs(config, request, answer))
			continue;
		object_put(request, "answer", json_incref(answer));
		array_append(differences, json_incref(request));
	}
	return 0;
}

static void print_summary(const struct old_log *log, size_t count)
{
	printf("lines: %lu, requests: %lu, different: %zu, answered otherwise: %zu\n",
	       log->lines, log->count, json_object_size(log->requests), count);
	if (count && log->silent && !log->tells_refusals)
		puts("The log tells of no refusals, which in.tftpd logs with -vv and atftpd with --verbose=6:\n"
		     "requests that the old server refused count as sent.");
}

static int print_differences(const struct ctl *ctl, const char *file,
			     const struct old_log *log, const json_t *differences)
{
	size_t count = json_array_size(differences), i;
	json_t *request;

	if (ctl->json) {
		print_json(json_pack("{s:{s:o, s:I, s:I, s:I, s:O}}", "shadow", "file",
				     json_bytes(file, strlen(file)), "lines",
				     (json_int_t)log->lines, "requests",
				     (json_int_t)log->count, "distinct",
				     (json_int_t)json_object_size(log->requests),
				     "differences", differences));
		return count ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	json_array_foreach(differences, i, request) {
		auto_free char *before = request_text(request);
		auto_free char *now = answer_text(object_get(request, "answer"));

		printf("%s; now %s\n", before, now);
	}
	print_summary(log, count);
	return count ? EXIT_FAILURE : EXIT_SUCCESS;
}

int run_shadow(struct ctl *ctl, int argc, char **argv)
{
	json_auto_t *differences = check_alloc(json_array());
	struct old_log log = { 0 };
	int ret = read_log(argv[0], &log);

	if (!ret && !log.count) {
		print_error("shadow: %s tells of no request to tftpd-hpa, dnsmasq or atftpd",
			    argv[0]);
		ret = EXIT_FAILURE;
	} else if (!ret && ctl->option[OPTION_LIST]) {
		ret = list_requests(ctl, &log);
	} else if (!ret) {
		ret = compare(ctl, &log, differences);
		if (!ret)
			ret = print_differences(ctl, argv[0], &log, differences);
	}
	free_log(&log);
	return ret;
}
