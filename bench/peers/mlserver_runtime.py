"""MLServer's XGBoost runtime wants a scikit-learn model; this is the same with the booster itself."""

import numpy as np
import xgboost
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class Runtime(MLModel):
    """A model in every worker; MLServer joins waiting requests along the first axis of the tensor."""

    async def load(self) -> bool:
        self.booster = xgboost.Booster(model_file=await get_model_uri(self._settings))
        self.booster.set_param({"nthread": 1})
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        table = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        answers = self.booster.inplace_predict(table, validate_features=False)
        output = NumpyCodec.encode_output("probability", answers.reshape(-1, 1))
        return InferenceResponse(model_name=self.name, outputs=[output])
