using System.Collections.Concurrent;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// The maildrops that a recipient leads to have room (<see cref="MaildropSpaceOptions.MaxBytes"/>): one of them is enough. Their sizes are
/// remembered for some seconds, and mail that is under way is not counted, so that a maildrop may come to hold somewhat more.
/// </summary>
internal sealed class MaildropSpaceCheck(
    AddressResolver addresses, MailDirectory directory, MaildropStore maildrops, IOptions<IngressOptions> options, TimeProvider time) : ICheck
{
    private const int Remembered = 10_000;

    private static readonly TimeSpan s_rememberedFor = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<long, (long At, long Bytes)> _sizes = [];

    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (context.Recipient.HasAddressLiteral || !context.Recipient.HasDomain)
            return Verdict.GoOn;
        var isFull = false;
        foreach (var end in (await context.ResolveRecipientAsync(addresses, cancellation)).Ends)
        {
            if (!end.IsThere)
                continue;
            if (end.Account is null || !await IsFullAsync(end.Account, cancellation))
                return Verdict.GoOn;
            isFull = true;
        }

        return isFull ? new(Replies.C452MaildropFull) : Verdict.GoOn;
    }

    private async ValueTask<bool> IsFullAsync(string address, CancellationToken cancellation) =>
        await directory.FindAccountAsync(address, cancellation) is { } account
        && await SizeAsync(account.Id, cancellation) >= options.Value.Checks.MaildropSpace.MaxBytes;

    private async ValueTask<long> SizeAsync(long accountId, CancellationToken cancellation)
    {
        if (_sizes.TryGetValue(accountId, out var known) && time.GetElapsedTime(known.At) < s_rememberedFor)
            return known.Bytes;
        var asked = time.GetTimestamp();
        var bytes = await maildrops.SizeAsync(accountId, cancellation);
        if (_sizes.Count >= Remembered)
            _sizes.Clear();
        _sizes[accountId] = (asked, bytes);
        return bytes;
    }
}
