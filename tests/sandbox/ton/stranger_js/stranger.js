// node stranger.js URL SEED_HEX RECIPIENT NANO: pays as any user of @ton/ton would, and prints
// what that library understood of every answer.
const { TonClient, WalletContractV4, internal } = require("@ton/ton");
const { Address, Cell, SendMode } = require("@ton/core");
const { keyPairFromSeed } = require("@ton/crypto");

const [url, seed, recipient, nano] = process.argv.slice(2);

async function main() {
  const client = new TonClient({ endpoint: `${url}/api/v2/jsonRPC`, apiKey: "a stranger's key" });
  const keys = keyPairFromSeed(Buffer.from(seed, "hex"));
  const contract = WalletContractV4.create({ workchain: 0, publicKey: keys.publicKey });
  const wallet = client.open(contract);
  const to = Address.parse(recipient);

  const balanceBefore = await wallet.getBalance();
  const deployedBefore = await client.isContractDeployed(wallet.address);
  const seqno = await wallet.getSeqno();
  const transfer = wallet.createTransfer({
    seqno,
    secretKey: keys.secretKey,
    sendMode: SendMode.PAY_GAS_SEPARATELY + SendMode.IGNORE_ERRORS,
    messages: [internal({ to, value: BigInt(nano), bounce: false, body: "from a stranger" })],
  });
  const fees = await client.estimateExternalMessageFee(wallet.address, {
    body: transfer,
    initCode: contract.init.code,
    initData: contract.init.data,
    ignoreSignature: false,
  });
  await wallet.send(transfer);
  let received = [];
  while (received.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    received = await client.getTransactions(to, { limit: 10 });
  }
  const seqnoAfter = await wallet.getSeqno();
  const [paid] = await client.getTransactions(wallet.address, { limit: 10 });
  const state = await client.getContractState(wallet.address);
  const publicKey = (await client.runMethod(wallet.address, "get_public_key")).stack.readBigNumber();
  const again = await client.getTransaction(wallet.address, paid.lt.toString(), paid.hash().toString("base64"));

  const last = await client.getMasterchainInfo();
  const [shard] = await client.getWorkchainShards(last.latestSeqno);
  const ofMasterchain = await client.getShardTransactions(-1, last.latestSeqno, last.shard);

  let refusal = "";
  try {
    await wallet.send(transfer);
  } catch (error) {
    refusal = error.response.data.error;
  }
  const data = state.data && Cell.fromBoc(state.data)[0].beginParse();
  return {
    address: wallet.address.toRawString(),
    balanceBefore,
    deployedBefore,
    seqno,
    seqnoAfter,
    fee: fees.source_fees,
    cost: paid.totalFees.coins + paid.outMessages.get(0).info.forwardFee,
    paid: { hash: paid.hash().toString("hex"), outMessages: paid.outMessagesCount },
    found: again.hash().toString("hex"),
    received: {
      value: received[0].inMessage.info.value.coins,
      comment: received[0].inMessage.body.beginParse().skip(32).loadStringTail(),
      source: received[0].inMessage.info.src.toRawString(),
    },
    state: { status: state.state, balance: state.balance, seqno: data.loadUint(32) },
    publicKey: publicKey.toString(16).padStart(64, "0") === keys.publicKey.toString("hex"),
    shard: shard.workchain,
    masterchainAccounts: ofMasterchain.map((one) => one.account.toRawString()),
    refusal,
  };
}

const asText = (_key, value) => (typeof value === "bigint" ? value.toString() : value);

main().then(
  (found) => console.log(JSON.stringify(found, asText)),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
