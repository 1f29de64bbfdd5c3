using System.Net;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>How many connections there are, together and from each address. Safe from any thread.</summary>
internal sealed class ConnectionBudget(int limit, int limitPerAddress)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<IPAddress, int> _byAddress = [];
    private int _count;

    public bool TryTake(IPAddress address)
    {
        lock (_gate)
        {
            var fromAddress = _byAddress.GetValueOrDefault(address);
            if (_count >= limit || fromAddress >= limitPerAddress)
                return false;
            _byAddress[address] = fromAddress + 1;
            _count++;
            return true;
        }
    }

    public void GiveBack(IPAddress address)
    {
        lock (_gate)
        {
            _count--;
            if (--_byAddress[address] == 0)
                _byAddress.Remove(address);
        }
    }
}
