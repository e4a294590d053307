/*
 * Orders, products and payments; see content.h.
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "wuzapi/content.h"
#include "wuzapi/wuzapi.h"

static void
describe_order(WuzapiOutput *out, const WuzapiContent *content)
{
	wuzapi_open(out, "order");
	(void) wuzapi_copy_string(out, "id", content->body, "orderID");
	(void) wuzapi_copy_string(out, "title", content->body, "orderTitle");
	(void) wuzapi_copy_string(out, "currency", content->body, "totalCurrencyCode");
	wuzapi_copy_number(out, "itemCount", content->body, "itemCount");
	wuzapi_copy_number(out, "totalAmount1000", content->body, "totalAmount1000");
	(void) wuzapi_close(out);
}

const char *
wuzapi_read_order(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	content->describe = describe_order;
	return wuzapi_read_object(content, kind, value);
}

static void
describe_product(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *product = wuzapi_find_object(content->body, "product");

	wuzapi_open(out, "product");
	(void) wuzapi_copy_string(out, "id", product, "productID");
	(void) wuzapi_copy_string(out, "title", product, "title");
	(void) wuzapi_copy_string(out, "description", product, "description");
	(void) wuzapi_copy_string(out, "currency", product, "currencyCode");
	wuzapi_copy_number(out, "priceAmount1000", product, "priceAmount1000");
	(void) wuzapi_copy_string(out, "url", product, "URL");
	(void) wuzapi_copy_string(out, "seller", content->body, "businessOwnerJID");
	(void) wuzapi_close(out);
}

/* A product of a catalogue: what is written beside it, or its name. */
const char *
wuzapi_read_product(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);
	char *title = wuzapi_text_of(wuzapi_find_object(content->body, "product"), "title");

	content->describe = describe_product;
	if (wuzapi_text_of(content->body, "body") == NULL && title != NULL)
		wuzapi_set_text(content, psprintf("🛍️ %s", title));
	return reason;
}

static void
describe_payment(WuzapiOutput *out, const WuzapiContent *content)
{
	JsonbContainer *amount = wuzapi_find_object(content->body, "amount");

	if (amount == NULL && wuzapi_number(content->body, "amount1000") == 0)
		return;
	wuzapi_open(out, "payment");
	wuzapi_copy_number(out, "amount1000", content->body, "amount1000");
	wuzapi_copy_number(out, "value", amount, "value");
	wuzapi_copy_number(out, "offset", amount, "offset");
	if (!wuzapi_copy_string(out, "currency", content->body, "currencyCodeIso4217"))
		(void) wuzapi_copy_string(out, "currency", amount, "currencyCode");
	(void) wuzapi_close(out);
}

/* A payment, or the wish for one: what is written beside it. */
const char *
wuzapi_read_payment(WuzapiContent *content, const WuzapiKind *kind, const JsonbValue *value)
{
	const char *reason = wuzapi_read_object(content, kind, value);

	content->describe = describe_payment;
	wuzapi_take_inner_text(content, "noteMessage");
	return reason;
}
