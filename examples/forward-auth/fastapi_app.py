import os

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request

bitting = httpx.AsyncClient(base_url=os.environ["BITTING_URL"], timeout=5)


def require_scopes(*scopes):
    """Lets a request on if its key holds these scopes; gives the headers that tell who it is."""

    async def caller(request: Request):
        sent = {name: request.headers[name] for name in ("authorization", "x-api-key") if name in request.headers}
        if request.client:
            sent["x-bitting-client-ip"] = request.client.host
        question = {"scope": scopes, "client": "x-bitting-client-ip"}
        try:
            answer = await bitting.get("/v1/authorize", params=question, headers=sent)
        except httpx.HTTPError:
            raise HTTPException(503, "unavailable", {"Retry-After": "2"})
        if answer.status_code != 200:
            told = {name: answer.headers[name] for name in ("retry-after", "www-authenticate") if name in answer.headers}
            raise HTTPException(answer.status_code if answer.is_error else 503, "refused", told)
        return answer.headers

    return caller


app = FastAPI()


@app.get("/orders")
async def orders(caller=Depends(require_scopes("orders:read"))):
    return {"organization": caller["x-bitting-organization-id"]}
