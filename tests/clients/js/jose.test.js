// panva/jose, which shares no code with this service, reads the keys handed out here and verifies what they sign.
"use strict";

const assert = require("node:assert/strict");
const { createPrivateKey, createPublicKey, generateKeyPairSync } = require("node:crypto");
const { test } = require("node:test");
const jose = require("jose");
const { startServer, startService } = require("./server.js");

test("A client assertion verifies by the public half of the hook key that signed it", async (t) => {
  const server = await startServer(t);
  const service = await startService(t, ({ path }) =>
    // Without expires_in the token serves once, so that each call of the hook brings a new assertion.
    path === "/token" ? [200, { access_token: "granted", token_type: "Bearer" }] : [200, {}],
  );
  const tokenUrl = `${service.base}/token`;
  const key = await server.json("POST", "/api/v1/hook-keys", { name: "signs" });
  const other = await server.json("POST", "/api/v1/hook-keys", { name: "does not sign" });
  const client = "client of jose";
  const uri = `${service.base}/hook`;
  const config = { uri, tokenUrl, clientId: client, authType: "private_key_jwt", hookKeyId: key.id };
  const hook = await server.json("POST", "/api/v1/inlineHooks", {
    name: "signs",
    type: "com.okta.oauth2.tokens.transform",
    version: "1.0.0",
    channel: { type: "OAUTH", version: "1.0.0", config },
  });
  const assertion = async () => {
    await server.json("POST", `/api/v1/inlineHooks/${hook.id}/execute`, {});
    return new URLSearchParams(service.calls.at(-2).body).get("client_assertion");
  };
  const jwk = await server.json("GET", `/api/v1/hook-keys/public/${key.keyId}`);
  const expected = { algorithms: ["RS256"], typ: "JWT", issuer: client, subject: client, audience: tokenUrl };

  await t.test("the public JWK imports as an RSA key of 2048 bits, and exports as it was", async () => {
    const imported = await jose.importJWK(jwk, "RS256");
    assert.equal(imported.type, "public");
    assert.equal(imported.asymmetricKeyDetails.modulusLength, 2048);
    const { kty, n, e } = jwk;
    assert.deepEqual(await jose.exportJWK(imported), { kty, n, e });
  });

  await t.test("header and claims are what RFC 7523 asks for", async () => {
    const before = Math.floor(Date.now() / 1000);
    const token = await assertion();
    const after = Math.floor(Date.now() / 1000);
    const verified = await jose.jwtVerify(token, await jose.importJWK(jwk, "RS256"), {
      ...expected,
      requiredClaims: ["exp", "iat", "jti"],
      maxTokenAge: "5m",
    });
    assert.deepEqual(verified.protectedHeader, { alg: "RS256", kid: key.keyId, typ: "JWT" });
    const { iat, exp, jti, ...rest } = verified.payload;
    assert.deepEqual(rest, { iss: client, sub: client, aud: tokenUrl });
    assert.ok(before <= iat && iat <= after, `issued at ${iat}, not from ${before} to ${after}`);
    assert.equal(exp - iat, 300);
    assert.match(jti, /^[\w-]{32}$/);
  });

  await t.test("each assertion has a jti of its own", async () => {
    const [first, second] = [await assertion(), await assertion()].map((token) => jose.decodeJwt(token).jti);
    assert.notEqual(first, second);
  });

  await t.test("the key is found in a JWK set by its kid, once its alg says what it is for", async () => {
    const token = await assertion();
    const set = (alg) => jose.createLocalJWKSet({ keys: [other._embedded, jwk].map((each) => ({ ...each, alg })) });
    const { key: found } = await jose.jwtVerify(token, set("RS256"), expected);
    assert.deepEqual((await jose.exportJWK(found)).n, jwk.n);
    // Okta's hook keys say RSA there, which is no algorithm of RFC 7518.
    await assert.rejects(jose.jwtVerify(token, set("RSA"), expected), { code: "ERR_JWKS_NO_MATCHING_KEY" });
  });

  await t.test("it verifies by no other key, no other audience, and not once it was altered", async () => {
    const token = await assertion();
    const [head, body, signature] = token.split(".");
    const right = await jose.importJWK(jwk, "RS256");
    const wrong = await jose.importJWK(other._embedded, "RS256");
    const claims = { ...jose.decodeJwt(token), sub: "somebody else" };
    const altered = [head, jose.base64url.encode(JSON.stringify(claims)), signature].join(".");
    const badly = { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" };
    await jose.jwtVerify(token, right, expected);
    await assert.rejects(jose.jwtVerify(token, wrong, expected), badly);
    await assert.rejects(jose.jwtVerify(altered, right, expected), badly);
    await assert.rejects(jose.jwtVerify([head, body, ""].join("."), right, expected), badly);
    await assert.rejects(jose.jwtVerify(token, right, { ...expected, audience: service.base }), { claim: "aud" });
    await assert.rejects(jose.jwtVerify(token, right, { ...expected, algorithms: ["PS256"] }), {
      code: "ERR_JOSE_ALG_NOT_ALLOWED",
    });
  });
});

// Every kind of key that can be brought, with what jose does with it.
const kinds = [
  ["RS256", { modulusLength: 2048 }],
  ["PS384", { modulusLength: 3072 }],
  ["ES256", {}],
  ["ES384", {}],
  ["ES512", {}],
  ["EdDSA", { crv: "Ed25519" }],
  ["ECDH-ES", { crv: "X25519" }],
];

test("A key that is brought in one format is the same key in the other", async (t) => {
  const server = await startServer(t);
  const reader = await server.tokenFor("keys.read");
  const get = async (name, format, token = server.token) => {
    const headers = { authorization: `SSWS ${token}` };
    return (await server.fetch(`/keys/${name}?format=${format}`, { headers })).json();
  };
  await server.json("POST", "/key-sets", { name: "all" });

  for (const [alg, options] of kinds) {
    const name = nameOf(alg, options);
    const pair = await jose.generateKeyPair(alg, { ...options, extractable: true });
    const original = await jose.exportJWK(pair.privateKey);
    const publicOriginal = await jose.exportJWK(pair.publicKey);

    await t.test(`${name}: a private JWK becomes a PEM that jose and OpenSSL load`, async () => {
      const jwk = JSON.stringify({ ...original, kid: name });
      await server.json("POST", "/keys", { name: `${name}-jwk`, kid: name, jwk, set: { name: "all" } });
      const { pem } = await get(`${name}-jwk`, "pem");
      assert.ok(createPrivateKey(pem.private_key).equals(pair.privateKey));
      assert.ok(createPublicKey(pem.public_key).equals(pair.publicKey));
      const converted = {
        privateKey: await jose.importPKCS8(pem.private_key, alg),
        publicKey: await jose.importSPKI(pem.public_key, alg),
      };
      await assertOnePair(alg, converted, pair);
    });

    await t.test(`${name}: a PEM becomes a JWK that jose loads, with every number of the original`, async () => {
      const pem = {
        private_key: await jose.exportPKCS8(pair.privateKey),
        public_key: await jose.exportSPKI(pair.publicKey),
      };
      await server.json("POST", "/keys", { name: `${name}-pem`, kid: name, pem });
      const jwk = JSON.parse((await get(`${name}-pem`, "jwk")).jwk);
      assert.deepEqual(jwk, { ...original, kid: name });
      const { d, p, q, dp, dq, qi, ...half } = jwk;
      const converted = { privateKey: await jose.importJWK(jwk, alg), publicKey: await jose.importJWK(half, alg) };
      await assertOnePair(alg, converted, pair);
    });

    await t.test(`${name}: who may only read gets a public half in both formats, and no more`, async () => {
      for (const stored of ["jwk", "pem"]) {
        const jwk = JSON.parse((await get(`${name}-${stored}`, "jwk", reader)).jwk);
        assert.deepEqual(jwk, { ...publicOriginal, kid: name });
        const { pem } = await get(`${name}-${stored}`, "pem", reader);
        assert.equal(pem.private_key, null);
        for (const publicKey of [await jose.importJWK(jwk, alg), await jose.importSPKI(pem.public_key, alg)]) {
          await assertOnePair(alg, { publicKey, privateKey: pair.privateKey }, pair);
        }
      }
    });
  }

  await t.test("numbers of a curve that begin with zeros keep them in both formats", async () => {
    for (const member of ["x", "y", "d"]) {
      const { jwk, key } = keyWithZeros(member);
      const name = `zeros-${member}`;
      await server.json("POST", "/keys", { name, kid: name, jwk: JSON.stringify({ ...jwk, kid: name }) });
      const { pem } = await get(name, "pem");
      assert.ok(createPrivateKey(pem.private_key).equals(key));
      await server.json("PUT", `/keys/${name}`, { kid: name, pem });
      assert.deepEqual(JSON.parse((await get(name, "jwk")).jwk), { ...jwk, kid: name });
    }
  });

  await t.test("the keys of a key set make a JWK set in which jose finds each of them by its kid", async () => {
    const headers = { authorization: `SSWS ${reader}` };
    const { data, next } = await (await server.fetch("/key-sets/all/keys", { headers })).json();
    assert.equal(next, null);
    const jwks = jose.createLocalJWKSet({ keys: data.map(({ jwk }) => JSON.parse(jwk)) });
    const signing = kinds.filter(([alg]) => alg !== "ECDH-ES");
    assert.equal(data.length, kinds.length);
    for (const [alg, options] of signing) {
      const kid = nameOf(alg, options);
      const { pem } = await get(`${kid}-jwk`, "pem");
      const token = await new jose.SignJWT({ of: kid })
        .setProtectedHeader({ alg, kid })
        .sign(await jose.importPKCS8(pem.private_key, alg));
      const { payload } = await jose.jwtVerify(token, jwks, { algorithms: [alg] });
      assert.deepEqual(payload, { of: kid });
    }
  });
});

function nameOf(alg, { crv, modulusLength }) {
  return [alg, crv ?? modulusLength].filter(Boolean).join("-");
}

/** A key of P-256 of which this number begins with an octet of zeros: about one of 256 does. */
function keyWithZeros(member) {
  for (;;) {
    const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const jwk = key.export({ format: "jwk" });
    if (Buffer.from(jwk[member], "base64url")[0] === 0) return { jwk, key };
  }
}

/** The halves of both pairs must belong together, whichever of them does which part of the work. */
async function assertOnePair(alg, one, other) {
  const text = new TextEncoder().encode("Either half of either pair");
  for (const [first, second] of [[one, other], [other, one], [one, one]]) {
    if (alg === "ECDH-ES") {
      const header = { alg, enc: "A256GCM" };
      const sealed = await new jose.CompactEncrypt(text).setProtectedHeader(header).encrypt(first.publicKey);
      const { plaintext } = await jose.compactDecrypt(sealed, second.privateKey);
      assert.deepEqual(Buffer.from(plaintext), Buffer.from(text));
    } else {
      const signed = await new jose.CompactSign(text).setProtectedHeader({ alg }).sign(first.privateKey);
      const { payload } = await jose.compactVerify(signed, second.publicKey);
      assert.deepEqual(Buffer.from(payload), Buffer.from(text));
    }
  }
}
