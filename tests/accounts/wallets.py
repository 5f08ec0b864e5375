"""Wallets that prove their address; state init and keys are made by strangers' code (tonutils)."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from typing import Any

from django.db import transaction
from nacl.signing import SigningKey
from ton_core import NetworkGlobalID, PrivateKey
from tonutils.clients import ToncenterClient
from tonutils.contracts import WalletV4R2

from accounts import proofs, services
from accounts.ton_proof import TonProof
from advertmarket.actors import Actor
from tests.accounts.launches import launch

DOMAIN = "app.advertmarket.com"


class ProvingWallet:
    """A wallet of any kind that tonutils knows; the same seed, the same wallet."""

    def __init__(self, seed: str, kind: Any = WalletV4R2, *, testnet: bool = True) -> None:
        self._key = SigningKey(hashlib.sha256(seed.encode()).digest())
        self.network = NetworkGlobalID.TESTNET if testnet else NetworkGlobalID.MAINNET
        client = ToncenterClient(self.network, api_key="key", base_url="http://127.0.0.1:9")
        self.contract = kind.from_private_key(client, PrivateKey(bytes(self._key)))
        self.raw_address = self.contract.address.to_str(is_user_friendly=False)
        self.state_init = base64.b64encode(self.contract.state_init.serialize().to_boc()).decode()

    def prove(self, payload: str, *, at: datetime, domain: str = DOMAIN) -> TonProof:
        """Return what the wallet would answer."""
        timestamp = int(at.timestamp())
        message = (
            b"ton-proof-item-v2/"
            + self.contract.address.wc.to_bytes(4, "big", signed=True)
            + self.contract.address.hash_part
            + len(domain.encode()).to_bytes(4, "little")
            + domain.encode()
            + timestamp.to_bytes(8, "little")
            + payload.encode()
        )
        digest = hashlib.sha256(b"\xff\xffton-connect" + hashlib.sha256(message).digest()).digest()
        return TonProof(
            address=self.raw_address,
            network=str(self.network.value),
            public_key=self._key.verify_key.encode().hex(),
            timestamp=timestamp,
            domain=domain,
            domain_length=len(domain.encode()),
            payload=payload,
            signature=base64.b64encode(self._key.sign(digest).signature).decode(),
            state_init=self.state_init,
        )


def prove(wallet: ProvingWallet, *, user_id: int, at: datetime) -> None:
    """The user opens the app and proves to hold the wallet."""
    with transaction.atomic():
        token = services.log_in(init_data=launch(user_id, at=at), at=at).token
        proof = wallet.prove(proofs.ask_for_proof(token=token, at=at).payload, at=at)
        proofs.prove_address(token=token, proof=proof, actor=Actor.user(user_id), at=at)


def body_of(proof: TonProof) -> dict[str, Any]:
    """Return the body of the request that carries a proof."""
    return {
        "address": proof.address,
        "network": proof.network,
        "public_key": proof.public_key,
        "proof": {
            "timestamp": proof.timestamp,
            "domain": {"lengthBytes": proof.domain_length, "value": proof.domain},
            "signature": proof.signature,
            "payload": proof.payload,
            "state_init": proof.state_init,
        },
    }
