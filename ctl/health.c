// SPDX-License-Identifier: GPL-2.0
/* health: may clients be sent here? For balancers, routers and their like. */
#include <stdio.h>
#include <string.h>

#include "tftpkctl.h"

/* Why that client reaches nobody, or NULL. */
static char *client_reason(const json_t *reply, const char *address)
{
	const char *kind = json_string_value(object_get(reply, "source"));

	if (kind && !strcmp(kind, "unserved"))
		return xasprintf("no listener takes requests of %s", address);
	if (kind && !strcmp(kind, "unreachable"))
		return xasprintf("there is no route to %s", address);
	return NULL;
}

/* Why a file is not served; NULL if it is, or could not be looked up: then @ret. */
static char *file_reason(struct ctl *ctl, const json_t *config, const char *name,
			 const struct endpoint *from, int *ret)
{
	json_auto_t *reply = NULL;
	json_auto_t *result = NULL;
	auto_free char *text = NULL;
	auto_free char *quoted = quote_word(name);
	char *reason;

	if (look_up_file(ctl, name, from, &reply)) {
		*ret = nl_fail(ctl, "health %s", name);
		return NULL;
	}
	reason = from->len ? client_reason(reply, ctl->option[OPTION_FROM]) : NULL;
	if (reason)
		return reason;
	result = make_result(reply, config, name);
	text = result_text(result);
	if (json_is_true(object_get(result, "served")))
		return NULL;
	return xasprintf("%s is %s", quoted, text);
}

static int print_health(const struct ctl *ctl, const json_t *config,
			const char *reason, long long transfers)
{
	const json_t *listeners = object_get(config, "listeners");
	size_t n = json_array_size(listeners);

	if (ctl->json)
		print_json(json_pack("{s:b, s:s?, s:O, s:I}", "healthy", !reason,
				     "reason", reason, "draining",
				     object_get(object_get(config, "settings"),
						"draining"),
				     "transfers", (json_int_t)transfers));
	else if (reason)
		printf("not healthy: %s\n", reason);
	else
		printf("healthy: %zu listener%s, %lld transfer%s\n", n,
		       n == 1 ? "" : "s", transfers, transfers == 1 ? "" : "s");
	return reason ? EXIT_FAILURE : EXIT_SUCCESS;
}

int run_health(struct ctl *ctl, int argc, char **argv)
{
	const char *address = ctl->option[OPTION_FROM];
	struct endpoint from = { 0 };
	json_auto_t *config = NULL;
	json_auto_t *stats = NULL;
	auto_free char *reason = NULL;
	const char *obstacle;
	int ret = 0;

	if (argc && !is_file_name(argv[0]))
		return usage_error("health: the name of a file has 1 to %u bytes",
				   TFTPK_PATH_MAX);
	if (!argc && (address || ctl->option[OPTION_NO_AGENT]))
		return usage_error("health: --from and --no-agent want the NAME of a file");
	if (address)
		ret = parse_client(address, &from);
	if (ret)
		return ret;
	if (read_config(ctl, &config) || read_stats(ctl, &stats))
		return nl_fail(ctl, "health");
	obstacle = request_obstacle(config);
	if (obstacle)
		reason = xasprintf("%s", obstacle);
	else if (argc)
		reason = file_reason(ctl, config, argv[0], &from, &ret);
	return ret ? ret : print_health(ctl, config, reason,
					object_number(stats, "transfers-active"));
}
