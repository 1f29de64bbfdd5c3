using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.Delivery.Routing;
using MailPipeline.Sasl;

namespace MailPipeline.Delivery.Smtp;

/// <summary>The client's side of one SASL exchange (RFC 4422): what is sent first, and what answers each challenge.</summary>
internal abstract class SaslClient
{
    /// <summary>As EHLO names it.</summary>
    public abstract string Mechanism { get; }

    /// <summary>The same in reports, with what the login is bound to.</summary>
    public virtual string Name => Mechanism;

    /// <summary>Sent with AUTH itself; null: the server begins.</summary>
    public abstract byte[]? Initial { get; }

    /// <summary>The server has shown what it has to; always where it has to show nothing.</summary>
    public virtual bool IsServerProven => true;

    /// <summary>The server has seen what only who knows the secret can say: its refusal is one of that.</summary>
    public virtual bool HasShownProof => true;

    /// <summary>The answer to a challenge; null: none that makes sense, the exchange is cancelled.</summary>
    public abstract byte[]? Answer(byte[] challenge);

    /// <summary>
    /// The exchange of the mechanism that is wanted, or the best one that is offered; none: there is no such. A bound login has one for each thing that
    /// it can be bound to, the best one first, as EHLO does not tell by what a host binds.
    /// </summary>
    /// <param name="offered">In upper case.</param>
    /// <param name="channel">What the login can be bound to.</param>
    public static IReadOnlyList<SaslClient> Choose(
        SmarthostMechanism wanted, IReadOnlyList<string> offered, SmarthostCredentials credentials, IReadOnlyList<ChannelBinding> channel)
    {
        SaslClient[] known = wanted switch
        {
            SmarthostMechanism.ScramSha256Plus => [.. channel.Select(binding => new ScramSha256(credentials, Nonce(), binding))],
            SmarthostMechanism.ScramSha256 => [new ScramSha256(credentials, Nonce())],
            SmarthostMechanism.Plain => [new Plain(credentials)],
            SmarthostMechanism.Login => [new Login(credentials)],
            SmarthostMechanism.XOAuth2 => [new XOAuth2(credentials)],
            // Not bound, unless the operator says that it can be: where another program speaks TLS for a host that offers -PLUS, or the host binds by
            // neither of what we do, it refuses that as it refuses a wrong password. Nor is it said that we would have bound (RFC 5802 §6, "y"), which a
            // host that offers -PLUS must refuse.
            _ => [new ScramSha256(credentials, Nonce()), new Plain(credentials), new Login(credentials)],
        };
        return Array.Find(known, client => offered.Contains(client.Mechanism)) is { } best ? [.. known.Where(client => client.Mechanism == best.Mechanism)] : [];
    }

    private static string Nonce() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(18));

    /// <summary>RFC 4616.</summary>
    private sealed class Plain(SmarthostCredentials credentials) : SaslClient
    {
        public override string Mechanism => "PLAIN";

        public override byte[]? Initial => Encoding.UTF8.GetBytes($"\0{credentials.UserName}\0{credentials.Secret}");

        public override byte[]? Answer(byte[] challenge) => null;
    }

    /// <summary>draft-murchison-sasl-login: the name, then the password, whatever the challenges are called.</summary>
    private sealed class Login(SmarthostCredentials credentials) : SaslClient
    {
        private int _answers;

        public override string Mechanism => "LOGIN";

        public override byte[]? Initial => null;

        public override byte[]? Answer(byte[] challenge) => _answers++ switch
        {
            0 => Encoding.UTF8.GetBytes(credentials.UserName),
            1 => Encoding.UTF8.GetBytes(credentials.Secret),
            _ => null,
        };
    }

    /// <summary>A refusal comes as a challenge first, which is answered by nothing; then comes the reply.</summary>
    private sealed class XOAuth2(SmarthostCredentials credentials) : SaslClient
    {
        public override string Mechanism => "XOAUTH2";

        public override byte[]? Initial => Encoding.UTF8.GetBytes($"user={credentials.UserName}\u0001auth=Bearer {credentials.Secret}\u0001\u0001");

        public override byte[]? Answer(byte[] challenge) => [];
    }

    /// <summary>RFC 5802 with SHA-256 (RFC 7677).</summary>
    /// <param name="channel">What the login is bound to; null: to nothing.</param>
    internal sealed class ScramSha256(SmarthostCredentials credentials, string nonce, ChannelBinding? channel = null) : SaslClient
    {
        /// <summary>RFC 7677 §4: from a proof of fewer, whoever asked for it guesses the password at no cost.</summary>
        private const int LeastIterations = 4096;

        /// <summary>A server that asks for more wants our time.</summary>
        private const int MaxIterations = 1_000_000;

        private readonly string _header = channel is null ? "n,," : $"p={channel.Type},,";

        private readonly string _first = $"n={Escape(credentials.UserName)},r={nonce}";
        private byte[]? _serverSignature;
        private bool _isProven;

        public override string Mechanism => channel is null ? "SCRAM-SHA-256" : "SCRAM-SHA-256-PLUS";

        public override string Name => channel is null ? Mechanism : $"{Mechanism} by {channel.Type}";

        public override byte[]? Initial => Encoding.UTF8.GetBytes(_header + _first);

        public override bool IsServerProven => _isProven;

        public override bool HasShownProof => _serverSignature is not null;

        public override byte[]? Answer(byte[] challenge)
        {
            var text = Encoding.UTF8.GetString(challenge);
            if (_serverSignature is null)
                return Prove(text);
            _isProven = !_isProven && text.StartsWith("v=", StringComparison.Ordinal)
                && TryDecode(text.Split(',')[0][2..], out var signature) && CryptographicOperations.FixedTimeEquals(signature, _serverSignature);
            return _isProven ? [] : null;
        }

        // RFC 5802 §5.1
        private byte[]? Prove(string serverFirst)
        {
            if (serverFirst.Split(',') is not [['r', '=', .. var joined], ['s', '=', .. var salted], ['i', '=', .. var counted], ..]
                || !joined.StartsWith(nonce, StringComparison.Ordinal) || joined.Length == nonce.Length
                || !TryDecode(salted, out var salt)
                || !int.TryParse(counted, NumberStyles.None, CultureInfo.InvariantCulture, out var iterations) || iterations is < LeastIterations or > MaxIterations)
            {
                return null;
            }

            // As the server prepared it when it was set; one that holds what must not be in a password is no server's.
            if (SaslPrep.Prepare(credentials.Secret) is not { } secret)
                return null;
            var password = Encoding.UTF8.GetBytes(secret);
            var salted256 = Rfc2898DeriveBytes.Pbkdf2(password, salt, iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
            var clientKey = HMACSHA256.HashData(salted256, "Client Key"u8);
            var final = $"c={Convert.ToBase64String([.. Encoding.ASCII.GetBytes(_header), .. channel is null ? [] : channel.Octets.Span])},r={joined}";
            var message = Encoding.UTF8.GetBytes($"{_first},{serverFirst},{final}");
            var proof = HMACSHA256.HashData(SHA256.HashData(clientKey), message);
            for (var i = 0; i < proof.Length; i++)
                proof[i] ^= clientKey[i];
            _serverSignature = HMACSHA256.HashData(HMACSHA256.HashData(salted256, "Server Key"u8), message);
            return Encoding.UTF8.GetBytes($"{final},p={Convert.ToBase64String(proof)}");
        }

        private static string Escape(string name) =>
            (SaslPrep.Prepare(name) ?? name).Replace("=", "=3D", StringComparison.Ordinal).Replace(",", "=2C", StringComparison.Ordinal);

        private static bool TryDecode(string text, out byte[] bytes)
        {
            var buffer = new byte[text.Length];
            var isBase64 = Convert.TryFromBase64String(text, buffer, out var length);
            bytes = buffer[..length];
            return isBase64 && length > 0;
        }
    }
}
