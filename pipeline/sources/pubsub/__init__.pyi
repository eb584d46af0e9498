from .read_subscription import ReadFromDataflow as ReadFromDataflow
from .read_subscription import ReadSubscription as ReadSubscription
from .subscriber import Subscription as Subscription
from .subscriber import SubscriptionBounds as SubscriptionBounds
