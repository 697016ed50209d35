// SPDX-License-Identifier: GPL-2.0
/* show: all that is configured. */
#include <stdio.h>

#include "tftpkctl.h"

/**
 * read_config() - all that is configured
 * @ctl: the context
 * @config: where it goes, as an object of lists and settings
 *
 * Return: 0, or -1 with ctl->error set.
 */
int read_config(struct ctl *ctl, json_t **config)
{
	json_auto_t *exports = NULL;
	json_auto_t *listeners = NULL;
	json_auto_t *trusted = NULL;
	json_auto_t *values = NULL;

	if (dump_exports(ctl, &exports) || dump_listeners(ctl, &listeners) ||
	    dump_trusted(ctl, &trusted) || read_settings(ctl, &values))
		return -1;
	*config = check_alloc(json_pack("{s:O, s:O, s:O, s:O}",
					"exports", exports, "listeners", listeners,
					"trusted", trusted, "settings", values));
	return 0;
}

static void print_config(const json_t *config)
{
	const json_t *exports = object_get(config, "exports");
	const json_t *listeners = object_get(config, "listeners");
	const json_t *trusted = object_get(config, "trusted");
	const json_t *values = object_get(config, "settings");

	if (json_is_true(object_get(values, "draining")))
		puts("draining, no requests are taken: tftpkctl undrain\n");
	if (json_array_size(exports))
		print_exports(exports);
	else
		puts("nothing is exported: tftpkctl export DIR");
	putchar('\n');
	if (json_array_size(listeners))
		print_listeners(listeners);
	else
		puts(json_array_size(exports) ?
		     "nothing listens: tftpkctl listen '*'" :
		     "nothing listens: the first export changes that");
	putchar('\n');
	if (json_array_size(trusted)) {
		print_trusted(trusted);
		putchar('\n');
	}
	print_settings(values);
}

/* Networks are told by their names alone. */
static json_t *network_names(const json_t *trusted)
{
	json_t *names = check_alloc(json_array()), *network;
	size_t i;

	json_array_foreach(trusted, i, network) {
		auto_free char *name = network_text(network);

		array_append(names, json_string(name));
	}
	return names;
}

int run_show(struct ctl *ctl, int argc, char **argv)
{
	json_auto_t *config = NULL;

	if (read_config(ctl, &config))
		return nl_fail(ctl, "show");
	if (ctl->json) {
		object_put(config, "trusted",
			   network_names(object_get(config, "trusted")));
		return print_json(json_incref(config));
	}
	print_config(config);
	return EXIT_SUCCESS;
}
