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
    /// <summary>Why it is nobody's, for the log, where there is more to say than that.</summary>
    public string? Reason { get; init; }

    internal static readonly Verification Busy = new(null, IsBusy: true);

    internal static readonly Verification Refused = new(null, IsBusy: false);
}

/// <summary>Who wants to log in.</summary>
/// <param name="Address">Where from; null where nobody knows.</param>
/// <param name="Closed">Cancelled when the client has closed its side: its work comes last, for it may have left.</param>
/// <param name="Left">Cancelled when the client has left: its work is not done.</param>
public readonly record struct LoginClient(IPAddress? Address, CancellationToken Closed, CancellationToken Left);

/// <summary>
/// Says whether a client is whom it claims to be. A stretched hash costs tens of milliseconds of CPU by design; a pair that was found right
/// is remembered for some minutes as a keyed digest, for as long as what is stored stays the same. Unknown names cost as much as wrong
/// passwords, and get keys for SCRAM as known ones do. What was stored by an older program is renewed when the password is known. One for
/// the process, for all protocols: see <see cref="LoginTurns"/> for who goes first.
/// </summary>
public sealed class CredentialVerifier
{
    private const int MaxRemembered = 10_000;

    /// <summary>Longest name that is asked for; longer ones are nobody's.</summary>
    internal const int MaxNameLength = 320;

    private const string DecoyKeyName = "scram-decoy";

    private readonly MailDirectory _directory;
    private readonly SecretStore _secrets;
    private readonly LoginOptions _options;
    private readonly LoginHistory _history;
    private readonly SharedLoginHistory _others;

    // Half of the cores: many logins at once keep each other waiting, and not the mail.
    private readonly LoginTurns _turns;
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly Lazy<string> _nobody = new(() => PasswordHash.Create("nobody has this password"));
    private readonly RememberedLogins _passwords;
    private readonly RememberedLogins _proofs;
    private readonly TokenLogins? _tokens;
    private readonly Lock _proving = new();
    private readonly DecoyIterations _decoyIterations;
    private byte[]? _decoyKey;

    public CredentialVerifier(MailDirectory directory, SecretStore secrets, LoginOptions options, TimeProvider time)
        : this(directory, secrets, options, time, null)
    {
    }

    /// <param name="tokens">Null where no issuer's are taken.</param>
    /// <param name="failures">Null where no other process works on the store.</param>
    internal CredentialVerifier(
        MailDirectory directory, SecretStore secrets, LoginOptions options, TimeProvider time, TokenVerifier? tokens, LoginFailureStore? failures = null)
    {
        _directory = directory;
        _secrets = secrets;
        _options = options;
        _history = new LoginHistory(time, options.FreeFailuresPerNetwork);
        _others = new SharedLoginHistory(_history, failures, time);
        _decoyIterations = new DecoyIterations(directory, options.ScramIterations, time);
        _passwords = new RememberedLogins(options.RememberedFor, MaxRemembered, time);
        _proofs = new RememberedLogins(options.RememberedFor, MaxRemembered, time);
        _turns = new LoginTurns(
            Math.Max(1, Environment.ProcessorCount / 2), options.MaxWaiting, options.MaxWaitingPerNetwork, _history.HasFailed);
        if (tokens is not null)
            _tokens = new TokenLogins(directory, tokens, _history, _others);
    }

    /// <summary>Logins that wait for their turn.</summary>
    public int Waiting => _turns.Waiting;

    /// <exception cref="OperationCanceledException">The client has left.</exception>
    public ValueTask<Verification> VerifyAsync(SaslClaim claim, LoginClient client) => claim switch
    {
        PasswordClaim password => VerifyAsync(password.UserName, password.Password, client),
        ScramClaim proof => VerifyAsync(proof, client),
        TokenClaim token when _tokens is not null => _tokens.VerifyAsync(token, PrefixOf(client.Address), client.Left),
        _ => throw new NotSupportedException($"Nobody looks at {claim}."),
    };

    /// <exception cref="OperationCanceledException">The client has left.</exception>
    public async ValueTask<Verification> VerifyAsync(string userName, string password, LoginClient client)
    {
        if (userName.Length > MaxNameLength)
            return Verification.Refused;
        var account = await _directory.FindAccountAsync(userName, CancellationToken.None);
        var (name, prefix) = (MailDirectory.Normalize(userName), PrefixOf(client.Address));
        // In a pause nothing is stretched, and a password that is remembered is looked for a few times only: no guess is free.
        var isPaused = _history.IsPaused(name, prefix);
        if (isPaused && !_history.MayGlance(name, prefix))
            return Verification.Busy;
        if (account is not null && _passwords.Has(account.Id, account.Password, Digest(password)))
        {
            _history.SucceededAgain(name, prefix);
            return new Verification(account, IsBusy: false);
        }

        if (isPaused)
            return Verification.Busy;
        var look = await _turns.RunAsync(
            prefix, _history.HasSucceeded(name, prefix), () => LookAsync(name, prefix, account, password), client.Closed, client.Left);
        if (look is null or { Answer: PasswordAnswer.NotTaken })
            return Verification.Busy;
        if (account is null || look is { Answer: PasswordAnswer.Wrong })
        {
            await _others.TellFailureAsync(name, prefix);
            return Verification.Refused;
        }

        if (look.Value.EndsFailures)
            await _others.TellLoginAsync(name, prefix);

        if (look.Value.Renewed is { } renewed && await IsRenewedAsync(account, renewed))
            account = account with { Password = renewed };
        _passwords.Add(account.Id, account.Password, Digest(password));
        return new Verification(account, IsBusy: false);
    }

    /// <summary>
    /// What SCRAM begins with for a name: the account's keys; and where nobody has the name, or the account has none, keys that look the
    /// same, are the same at each call, and that no password has.
    /// </summary>
    public async ValueTask<ScramKeys> FindScramKeysAsync(string userName)
    {
        // Made, once for the store, before it is known whether it is needed: no name waits longer for its answer than another.
        _decoyKey ??= await _secrets.GetKeyAsync(DecoyKeyName, CancellationToken.None);
        var name = MailDirectory.Normalize(userName);
        var decoy = ScramKeys.Decoy(_decoyKey, name, await _decoyIterations.OfAsync(_decoyKey, name));
        var account = userName.Length > MaxNameLength ? null : await _directory.FindAccountAsync(userName, CancellationToken.None);
        return ScramKeys.Parse(account?.Password.ScramKeys ?? "") ?? decoy;
    }

    /// <summary>
    /// A proof costs no more than a line, so that nobody waits for a turn. They are judged one after the other, pauses and failures as of
    /// passwords: guesses that come together pause together.
    /// </summary>
    private async ValueTask<Verification> VerifyAsync(ScramClaim claim, LoginClient client)
    {
        if (claim.UserName.Length > MaxNameLength)
            return Verification.Refused;
        var account = await _directory.FindAccountAsync(claim.UserName, CancellationToken.None);
        var keys = claim.Keys.ToText();
        var isRight = claim.IsProven && account is not null && account.Password.ScramKeys == keys;
        var (name, prefix) = (MailDirectory.Normalize(claim.UserName), PrefixOf(client.Address));
        lock (_proving)
        {
            var isPaused = _history.IsPaused(name, prefix);
            if (isPaused && !_history.MayGlance(name, prefix))
                return Verification.Busy;
            if (isRight && _proofs.Has(account!.Id, account.Password, []))
            {
                _history.SucceededAgain(name, prefix);
                return new Verification(account, IsBusy: false);
            }

            if (isPaused)
                return Verification.Busy;
        }

        await _others.LearnAsync(name, prefix);
        bool endsFailures;
        lock (_proving)
        {
            if (_history.IsPaused(name, prefix))
                return Verification.Busy;
            if (!isRight)
                _history.Failed(name, prefix);
            endsFailures = isRight && _history.Succeeded(name, prefix);
        }

        if (!isRight)
        {
            await _others.TellFailureAsync(name, prefix);
            return Verification.Refused;
        }

        _proofs.Add(account!.Id, account.Password, []);
        if (endsFailures)
            await _others.TellLoginAsync(name, prefix);
        return new Verification(account, IsBusy: false);
    }

    /// <summary>
    /// Stretches the password, and notes what came of it before the next turn comes: guesses that waited together pause together. What others
    /// know is asked for in the turn: it is of this moment, and storage is not asked by more at once than have a turn.
    /// </summary>
    private async Task<PasswordLook> LookAsync(string name, IPNetwork prefix, Account? account, string password)
    {
        if (_history.IsPaused(name, prefix))
            return new PasswordLook(PasswordAnswer.NotTaken);
        await _others.LearnAsync(name, prefix);
        if (_history.IsPaused(name, prefix))
            return new PasswordLook(PasswordAnswer.NotTaken);
        // Until they are renewed, hashes of an older form take another time than nobody's.
        if (PasswordHash.Verify(password, account?.Password.Hash ?? _nobody.Value) && account is not null)
        {
            var endsFailures = _history.Succeeded(name, prefix);
            // Within the turn: no more is stretched at once, in time and in memory, than turns say.
            return new PasswordLook(
                PasswordAnswer.Right,
                account.Password.IsOutdated(_options.ScramIterations) ? StoredPassword.Create(password, _options.ScramIterations) : null,
                endsFailures);
        }

        _history.Failed(name, prefix);
        return new PasswordLook(PasswordAnswer.Wrong);
    }

    /// <summary>False: not now, and so at another login. Nobody is refused for it.</summary>
    private async ValueTask<bool> IsRenewedAsync(Account account, StoredPassword renewed)
    {
        try
        {
            return await _directory.RenewPasswordAsync(account, renewed);
        }
        catch (StorageUnavailableException)
        {
            return false;
        }
    }

    /// <summary>One customer's network: IPv6 is given out by /64 and shorter, IPv4 by the address.</summary>
    private IPNetwork PrefixOf(IPAddress? client)
    {
        if (client is null)
            return new IPNetwork(IPAddress.Any, 32);
        if (client.IsIPv4MappedToIPv6)
            client = client.MapToIPv4();
        return LoginNetwork.Of(client, client.AddressFamily == AddressFamily.InterNetwork ? _options.PrefixIPv4 : _options.PrefixIPv6);
    }

    private byte[] Digest(string password) => HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(password));

    private enum PasswordAnswer
    {
        Right,
        Wrong,

        /// <summary>The name has failed too often there while it waited.</summary>
        NotTaken,
    }

    /// <param name="Renewed">What is to be stored of the password instead; null: what is stored will do.</param>
    /// <param name="EndsFailures">Other processes know of failures that this login ends.</param>
    private readonly record struct PasswordLook(PasswordAnswer Answer, StoredPassword? Renewed = null, bool EndsFailures = false);
}
