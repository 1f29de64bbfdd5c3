using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.Sasl;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What is answered to a name and a password.</summary>
/// <param name="Account">Whose they are; null where they are nobody's, or were not looked at.</param>
/// <param name="IsBusy">They were not looked at: too many wait, or the name failed too often there. Later. SMTP: 454 4.7.0.</param>
public readonly record struct Verification(Account? Account, bool IsBusy)
{
    internal static readonly Verification Busy = new(null, IsBusy: true);

    internal static readonly Verification Refused = new(null, IsBusy: false);
}

/// <summary>Who wants to log in.</summary>
/// <param name="Address">Where from; null where nobody knows.</param>
/// <param name="Closed">Cancelled when the client has closed its side: its work comes last, for it may have left.</param>
/// <param name="Left">Cancelled when the client has left: its work is not done.</param>
public readonly record struct LoginClient(IPAddress? Address, CancellationToken Closed, CancellationToken Left);

/// <summary>
/// Says whose name and password these are. A stretched hash costs tens of milliseconds of CPU by design; a pair that was
/// found right is remembered for some minutes as a keyed digest, for as long as the stored hash stays the same. Unknown
/// names cost as much as wrong passwords. One for the process, for all protocols: see <see cref="LoginTurns"/> for who goes first.
/// </summary>
public sealed class CredentialVerifier
{
    private const int MaxRemembered = 10_000;

    /// <summary>Longest name that is asked for; longer ones are nobody's.</summary>
    private const int MaxNameLength = 320;

    private static readonly TimeSpan s_remember = TimeSpan.FromMinutes(5);

    private readonly MailDirectory _directory;
    private readonly StorageOptions _options;
    private readonly TimeProvider _time;
    private readonly LoginHistory _history;

    // Half of the cores: many logins at once keep each other waiting, and not the mail.
    private readonly LoginTurns _turns;
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly Lazy<string> _nobody = new(() => PasswordHash.Create("nobody has this password"));
    private readonly ConcurrentDictionary<long, (string Hash, byte[] Digest, long At)> _remembered = [];

    public CredentialVerifier(MailDirectory directory, StorageOptions options, TimeProvider time)
    {
        _directory = directory;
        _options = options;
        _time = time;
        _history = new LoginHistory(time);
        _turns = new LoginTurns(
            Math.Max(1, Environment.ProcessorCount / 2), options.LoginsWaiting, options.LoginsWaitingPerNetwork, _history.HasFailed);
    }

    /// <summary>Logins that wait for their turn.</summary>
    public int Waiting => _turns.Waiting;

    /// <exception cref="OperationCanceledException">The client has left.</exception>
    public ValueTask<Verification> VerifyAsync(SaslClaim claim, LoginClient client) => claim switch
    {
        PasswordClaim password => VerifyAsync(password.UserName, password.Password, client),
        _ => throw new NotSupportedException($"Nobody looks at {claim}."),
    };

    /// <exception cref="OperationCanceledException">The client has left.</exception>
    public async ValueTask<Verification> VerifyAsync(string userName, string password, LoginClient client)
    {
        if (userName.Length > MaxNameLength)
            return Verification.Refused;
        var account = await _directory.FindAccountAsync(userName, CancellationToken.None);
        var (name, prefix) = (userName.ToLowerInvariant(), PrefixOf(client.Address));
        if (account is not null && IsRemembered(account, password))
        {
            _history.SucceededAgain(name, prefix);
            return new Verification(account, IsBusy: false);
        }

        if (_history.IsPaused(name, prefix))
            return Verification.Busy;
        var look = await _turns.RunAsync(
            prefix, _history.HasSucceeded(name, prefix), () => Look(name, prefix, account, password), client.Closed, client.Left);
        if (look is null or PasswordLook.NotTaken)
            return Verification.Busy;
        if (account is null || look == PasswordLook.Wrong)
            return Verification.Refused;

        if (_remembered.Count >= MaxRemembered)
            _remembered.Clear();
        _remembered[account.Id] = (account.PasswordHash, Digest(password), _time.GetTimestamp());
        return new Verification(account, IsBusy: false);
    }

    /// <summary>Stretches the password, and notes what came of it before the next turn comes: guesses that waited together pause together.</summary>
    private PasswordLook Look(string name, IPNetwork prefix, Account? account, string password)
    {
        if (_history.IsPaused(name, prefix))
            return PasswordLook.NotTaken;
        if (PasswordHash.Verify(password, account?.PasswordHash ?? _nobody.Value) && account is not null)
        {
            _history.Succeeded(name, prefix);
            return PasswordLook.Right;
        }

        _history.Failed(name, prefix);
        return PasswordLook.Wrong;
    }

    /// <summary>One customer's network: IPv6 is given out by /64 and shorter, IPv4 by the address.</summary>
    private IPNetwork PrefixOf(IPAddress? client)
    {
        if (client is null)
            return new IPNetwork(IPAddress.Any, 32);
        if (client.IsIPv4MappedToIPv6)
            client = client.MapToIPv4();
        return LoginNetwork.Of(client, client.AddressFamily == AddressFamily.InterNetwork ? _options.LoginPrefixIPv4 : _options.LoginPrefixIPv6);
    }

    private bool IsRemembered(Account account, string password) =>
        _remembered.TryGetValue(account.Id, out var known)
        && known.Hash == account.PasswordHash
        && _time.GetElapsedTime(known.At) < s_remember
        && CryptographicOperations.FixedTimeEquals(known.Digest, Digest(password));

    private byte[] Digest(string password) => HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(password));

    private enum PasswordLook
    {
        Right,
        Wrong,

        /// <summary>The name has failed too often there while it waited.</summary>
        NotTaken,
    }
}
