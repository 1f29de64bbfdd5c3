using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using CsCheck;

namespace MailPipeline.Sasl.Tests;

/// <summary>SCRAM-SHA-256 from the server's side: the RFC's own example, and whoever keeps to it badly or not at all.</summary>
public sealed class ScramTests
{
    private const string Nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    private const string ClientNonce = "rOprNGfwEbeRWgbNEkqO";
    private const string First = "n,,n=user,r=" + ClientNonce;
    private const string FinalBare = "c=biws,r=" + ClientNonce + Nonce;

    // RFC 7677 §3
    private static readonly ScramKeys s_keys = ScramKeys.Create("pencil", Convert.FromBase64String("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);

    private static readonly ChannelBinding s_endPoint = new(ChannelBinding.ServerEndPoint, new byte[] { 1, 2, 3 });

    [Fact]
    public void The_example_of_the_RFC_is_spoken_octet_for_octet()
    {
        var dialogue = new ScramDialogue(Nonce, [], isBound: false);
        Assert.Equal(SaslAction.FindKeys, Take(dialogue, First).Action);
        Assert.Equal("user", dialogue.UserName);
        Assert.Equal($"r={ClientNonce}{Nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", Text(dialogue.KeysFound(s_keys)));
        Assert.Equal(SaslAction.Verify, Take(dialogue, $"{FinalBare},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").Action);
        Assert.True(Assert.IsType<ScramClaim>(dialogue.Claim).IsProven);
        Assert.Equal("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", Text(dialogue.Verified()));
        Assert.Equal(SaslAction.Done, Take(dialogue, "").Action);
    }

    [Theory]
    [InlineData("")]
    [InlineData("n")]
    [InlineData("n,,")]
    [InlineData("n,,n=user")]
    [InlineData("n,,n=user,r=")]
    [InlineData("n,,n=,r=abc")]
    [InlineData("n,,r=abc,n=user")]
    [InlineData("n,,n=us=er,r=abc")]
    [InlineData("n,,n=us=2cer,r=abc")]
    [InlineData("n,,n=us\u0007er,r=abc")]
    [InlineData("n,,n=us\u200Eer,r=abc")]
    [InlineData("n,,n=user,r=a bc")]
    [InlineData("n,,n=user,r=a\u00E9c")]
    [InlineData("n,user,n=user,r=abc")]
    [InlineData("n,a=,n=user,r=abc")]
    // Reserved (RFC 5802 §5.1): what must be understood is not.
    [InlineData("n,,m=x,n=user,r=abc")]
    [InlineData("n,,n=user,r=abc,m=x")]
    [InlineData("n,,n=user,r=abc,x")]
    [InlineData("n,,n=user,r=abc,x=")]
    // A channel is bound by the mechanism's name, too.
    [InlineData("p=tls-exporter,,n=user,r=abc")]
    [InlineData("p=tls-unique,,n=user,r=abc")]
    [InlineData("N,,n=user,r=abc")]
    [InlineData("x,,n=user,r=abc")]
    [InlineData(",,n=user,r=abc")]
    public void A_first_message_that_is_none_is_malformed(string message) =>
        Assert.Equal(SaslAction.Malformed, Take(new ScramDialogue(Nonce, [], isBound: false), message).Action);

    [Fact]
    public void A_nonce_has_a_bound() =>
        Assert.Equal(SaslAction.Malformed, Take(new ScramDialogue(Nonce, [], isBound: false), "n,,n=user,r=" + new string('a', 600)).Action);

    [Theory]
    [InlineData("n,,n=user,r=abc", "user", "biws")]
    [InlineData("y,,n=user,r=abc", "user", "eSws")]
    [InlineData("n,a=user,n=user,r=abc", "user", "bixhPXVzZXIs")]
    [InlineData("n,,n=a=2Cb=3Dc,r=abc", "a,b=c", "biws")]
    [InlineData("n,,n=us\u00ADer,r=abc,x=1,y=2", "user", "biws")]
    [InlineData("n,,n=j\u00F6rg\u3000x,r=abc", "j\u00F6rg x", "biws")]
    public void Each_form_of_the_header_is_read_and_bound_to_the_proof(string first, string name, string binding)
    {
        var dialogue = new ScramDialogue(Nonce, [], isBound: false);
        Assert.Equal(SaslAction.FindKeys, Take(dialogue, first).Action);
        Assert.Equal(name, dialogue.UserName);
        var bare = first[(first.IndexOf(",n=", StringComparison.Ordinal) + 1)..];
        var serverFirst = Text(dialogue.KeysFound(s_keys));
        var final = $"c={binding},r=abc{Nonce}";
        Assert.Equal(SaslAction.Verify, Take(dialogue, $"{final},p={Prove("pencil", $"{bare},{serverFirst},{final}")}").Action);
        Assert.True(Assert.IsType<ScramClaim>(dialogue.Claim).IsProven);
    }

    [Fact]
    public void Nobody_acts_for_somebody_else() =>
        Assert.Equal(SaslAction.Refused, Take(new ScramDialogue(Nonce, [], isBound: false), "n,a=other,n=user,r=abc").Action);

    [Theory]
    [InlineData("", SaslAction.Malformed)]
    [InlineData("c=biws", SaslAction.Malformed)]
    // No proof, half of one, one that is not last, and one in two spellings.
    [InlineData(FinalBare, SaslAction.Malformed)]
    [InlineData(FinalBare + ",p=", SaslAction.Malformed)]
    [InlineData(FinalBare + ",p=AAAA", SaslAction.Malformed)]
    [InlineData(FinalBare + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=,x=1", SaslAction.Malformed)]
    [InlineData(FinalBare + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVR=", SaslAction.Malformed)]
    [InlineData(FinalBare + ",m=1,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SaslAction.Malformed)]
    // Another nonce, the client's alone; and another header than was sent, of which the client is told.
    [InlineData("c=biws,r=" + ClientNonce + "x" + Nonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SaslAction.Refused)]
    [InlineData("c=biws,r=" + ClientNonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SaslAction.Refused)]
    [InlineData("c=eSws,r=" + ClientNonce + Nonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SaslAction.Challenge)]
    [InlineData("c=biwsAAAA,r=" + ClientNonce + Nonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SaslAction.Challenge)]
    public void A_last_message_that_proves_nothing_is_no_claim(string message, SaslAction action)
    {
        var dialogue = new ScramDialogue(Nonce, [], isBound: false);
        Take(dialogue, First);
        dialogue.KeysFound(s_keys);
        Assert.Equal(action, Take(dialogue, message).Action);
        Assert.Null(dialogue.Claim);
    }

    [Fact]
    public void A_proof_of_an_earlier_exchange_proves_nothing()
    {
        var dialogue = new ScramDialogue(Nonce + "x", [], isBound: false);
        Take(dialogue, First);
        dialogue.KeysFound(s_keys);
        // With its own nonce it is refused unread (above); with the new one it does not fit.
        Assert.Equal(SaslAction.Verify, Take(dialogue, $"{FinalBare}x,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").Action);
        Assert.False(Assert.IsType<ScramClaim>(dialogue.Claim).IsProven);
        Assert.Throws<InvalidOperationException>(() => dialogue.Verified());
    }

    [Fact]
    public void No_two_exchanges_have_one_nonce()
    {
        Assert.NotEqual(Challenge(), Challenge());

        static string Challenge()
        {
            var dialogue = new ScramDialogue([], isBound: false);
            Take(dialogue, First);
            return Text(dialogue.KeysFound(s_keys));
        }
    }

    [Fact]
    public void The_last_word_of_the_client_is_no_word()
    {
        var dialogue = new ScramDialogue(Nonce, [], isBound: false);
        Take(dialogue, First);
        dialogue.KeysFound(s_keys);
        Take(dialogue, $"{FinalBare},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        dialogue.Verified();
        Assert.Equal(SaslAction.Malformed, Take(dialogue, "x").Action);
    }

    [Fact]
    public void Keys_are_read_as_they_are_written_and_a_decoy_is_the_same_for_a_name()
    {
        Assert.Equal(
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
            s_keys.ToText());
        Assert.Equal(s_keys.ToText(), ScramKeys.Parse(s_keys.ToText())!.ToText());
        Assert.All(
            ["", "x", "SCRAM-SHA-1$4096:AAAA$AAAA:AAAA", "SCRAM-SHA-256$1:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:AAAA"],
            text => Assert.Null(ScramKeys.Parse(text)));

        var secret = RandomNumberGenerator.GetBytes(32);
        var decoy = ScramKeys.Decoy(secret, "ann", 4096).ToText();
        Assert.Equal(decoy, ScramKeys.Decoy(secret, "ann", 4096).ToText());
        Assert.NotEqual(decoy, ScramKeys.Decoy(secret, "bob", 4096).ToText());
        Assert.Equal(s_keys.ToText().Length, decoy.Length);
    }

    /// <summary>Whatever comes, in whatever order, ends in a step, and nobody is logged in without a proof.</summary>
    [Fact]
    public void Any_lines_lead_to_steps_and_to_no_login()
    {
        var pieces = Gen.OneOf(
            Gen.OneOfConst("n,,", "y,,", "p=x,,", "n=user", "r=abc", ",", "=", "c=biws", "r=" + ClientNonce + Nonce, "p=AAAA", "m=", "=2C", "\0", "\u00E9", "a=user", "*"),
            Gen.String);
        var lines = Gen.OneOf(pieces.Array[0, 8].Select(some => string.Concat(some)), Gen.Const(First), Gen.Const(FinalBare + ",p=" + new string('A', 43) + "="));
        lines.Array[1, 6].Sample(said =>
        {
            var (exchange, step) = SaslExchange.Begin("SCRAM-SHA-256"u8, SaslMechanism.All);
            foreach (var line in said)
            {
                if (step.Action == SaslAction.FindKeys)
                    step = exchange!.KeysFound(s_keys);
                if (step.Action != SaslAction.Challenge)
                    break;
                step = exchange!.Read(line == "*" ? "*"u8 : Encoding.ASCII.GetBytes(Convert.ToBase64String(Encoding.UTF8.GetBytes(line))));
            }

            Assert.NotEqual(SaslAction.Done, step.Action);
            Assert.True(exchange!.Claim is not ScramClaim { IsProven: true });
        });
    }

    [Fact]
    public void Who_knows_the_password_proves_it_whatever_the_names_nonces_and_passwords_are()
    {
        var names = Gen.OneOfConst("ann@example.org", "a,b", "=", "j\u00F6rg@example.org");
        var nonces = Gen.Char['-', '~'].Array[1, 40].Select(letters => new string(letters));
        Gen.Select(names, nonces, Gen.String[1, 20], Gen.Bool).Sample((name, nonce, password, isRight) =>
        {
            var keys = ScramKeys.Create(password, 4096);
            var (exchange, _) = SaslExchange.Begin("scram-sha-256"u8, SaslMechanism.All);
            var bare = $"n={name.Replace("=", "=3D", StringComparison.Ordinal).Replace(",", "=2C", StringComparison.Ordinal)},r={nonce}";
            Assert.Equal(SaslAction.FindKeys, Say(exchange!, "n,," + bare).Action);
            Assert.Equal(name, exchange!.UserName);
            var serverFirst = Text(exchange.KeysFound(keys));
            var parts = serverFirst.Split(',');
            var final = $"c=biws,{parts[0]}";
            var proof = Prove(isRight ? password : password + "x", $"{bare},{serverFirst},{final}", Convert.FromBase64String(parts[1][2..]), int.Parse(parts[2][2..], CultureInfo.InvariantCulture));
            Assert.Equal(SaslAction.Verify, Say(exchange, $"{final},p={proof}").Action);
            Assert.Equal(isRight, Assert.IsType<ScramClaim>(exchange.Claim).IsProven);
        }, iter: 100);
    }

    /// <summary>RFC 5802 §6: by which name of the mechanism, with which flag, to a server that binds or does not.</summary>
    [Theory]
    [InlineData("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", true, SaslAction.FindKeys)]
    [InlineData("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", true, SaslAction.Challenge)]
    [InlineData("SCRAM-SHA-256-PLUS", "p=tls-unique,,", true, SaslAction.Challenge)]
    [InlineData("SCRAM-SHA-256-PLUS", "p=TLS-SERVER-END-POINT,,", true, SaslAction.Challenge)]
    [InlineData("SCRAM-SHA-256-PLUS", "p=,,", true, SaslAction.Malformed)]
    [InlineData("SCRAM-SHA-256-PLUS", "p=tls_unique,,", true, SaslAction.Malformed)]
    [InlineData("SCRAM-SHA-256-PLUS", "n,,", true, SaslAction.Malformed)]
    [InlineData("SCRAM-SHA-256-PLUS", "y,,", true, SaslAction.Malformed)]
    [InlineData("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", false, SaslAction.UnknownMechanism)]
    [InlineData("SCRAM-SHA-256", "n,,", true, SaslAction.FindKeys)]
    [InlineData("SCRAM-SHA-256", "n,,", false, SaslAction.FindKeys)]
    // Somebody has left the offer out on its way.
    [InlineData("SCRAM-SHA-256", "y,,", true, SaslAction.Challenge)]
    [InlineData("SCRAM-SHA-256", "y,,", false, SaslAction.FindKeys)]
    [InlineData("SCRAM-SHA-256", "p=tls-server-end-point,,", true, SaslAction.Malformed)]
    public void A_channel_is_bound_by_the_name_and_the_flag_together(string mechanism, string header, bool isBound, SaslAction action)
    {
        var initial = Convert.ToBase64String(Encoding.UTF8.GetBytes(header + "n=user,r=abc"));
        var (exchange, step) = SaslExchange.Begin(Encoding.ASCII.GetBytes($"{mechanism} {initial}"), SaslMechanism.All, isBound ? [s_endPoint] : null);
        Assert.Equal(action, step.Action);
        if (action != SaslAction.Challenge)
            return;
        Assert.Equal(mechanism == "SCRAM-SHA-256" ? "e=server-does-support-channel-binding" : "e=unsupported-channel-binding-type", Text(step));
        // Whatever it says now, it is not logged in; and nothing can be made of it but a failure.
        Assert.True(exchange!.IsRejected);
        Assert.Equal(SaslAction.Refused, Say(exchange, "n=user,r=abc").Action);
        Assert.Null(exchange.Claim);
    }

    [Theory]
    [InlineData("tls-exporter", "tls-exporter", SaslAction.Verify)]
    [InlineData("tls-server-end-point", "tls-server-end-point", SaslAction.Verify)]
    // The octets of the one are none of the other.
    [InlineData("tls-exporter", "tls-server-end-point", SaslAction.Challenge)]
    [InlineData("tls-server-end-point", "tls-exporter", SaslAction.Challenge)]
    public void Each_binding_of_the_connection_is_taken_for_what_it_is(string said, string meant, SaslAction action)
    {
        ChannelBinding[] channel = [new(ChannelBinding.Exporter, new byte[] { 9, 8, 7 }), s_endPoint];
        var dialogue = new ScramDialogue(Nonce, channel, isBound: true);
        Assert.Equal(SaslAction.FindKeys, Take(dialogue, $"p={said},,n=user,r=abc").Action);
        var serverFirst = Text(dialogue.KeysFound(s_keys));
        byte[] bound = [.. Encoding.ASCII.GetBytes($"p={said},,"), .. channel.Single(binding => binding.Type == meant).Octets.Span];
        var final = $"c={Convert.ToBase64String(bound)},r=abc{Nonce}";
        Assert.Equal(action, Take(dialogue, $"{final},p={Prove("pencil", $"n=user,r=abc,{serverFirst},{final}")}").Action);
    }

    /// <summary>A listener that does not offer to bind has nothing that could have been left out.</summary>
    [Fact]
    public void Who_would_bind_is_served_where_that_is_not_offered()
    {
        var offered = SaslMechanism.Named("SCRAM-SHA-256 PLAIN")!;
        var (_, step) = SaslExchange.Begin(Encoding.ASCII.GetBytes("SCRAM-SHA-256 " + Convert.ToBase64String("y,,n=user,r=abc"u8)), offered, [s_endPoint]);
        Assert.Equal(SaslAction.FindKeys, step.Action);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_proof_counts_for_the_channel_that_the_client_has_seen(bool isSame)
    {
        byte[] channel = [7, 0, 255, 44];
        var dialogue = new ScramDialogue(Nonce, [new(ChannelBinding.ServerEndPoint, channel)], isBound: true);
        Assert.Equal(SaslAction.FindKeys, Take(dialogue, "p=tls-server-end-point,,n=user,r=abc").Action);
        var serverFirst = Text(dialogue.KeysFound(s_keys));
        byte[] bound = [.. "p=tls-server-end-point,,"u8, .. isSame ? channel : [7, 0, 255, 45]];
        var final = $"c={Convert.ToBase64String(bound)},r=abc{Nonce}";
        var step = Take(dialogue, $"{final},p={Prove("pencil", $"n=user,r=abc,{serverFirst},{final}")}");
        Assert.Equal(isSame ? SaslAction.Verify : SaslAction.Challenge, step.Action);
        if (!isSame)
            Assert.Equal("e=channel-bindings-dont-match", Text(step));
        Assert.Equal(isSame, dialogue.Claim is ScramClaim { IsProven: true });
    }

    [Fact]
    public void A_bound_login_without_the_channel_in_it_is_none()
    {
        var dialogue = new ScramDialogue(Nonce, [s_endPoint], isBound: true);
        Take(dialogue, "p=tls-server-end-point,,n=user,r=abc");
        var serverFirst = Text(dialogue.KeysFound(s_keys));
        var final = $"c={Convert.ToBase64String("p=tls-server-end-point,,"u8)},r=abc{Nonce}";
        Assert.Equal("e=channel-bindings-dont-match", Text(Take(dialogue, $"{final},p={Prove("pencil", $"n=user,r=abc,{serverFirst},{final}")}")));
        Assert.Null(dialogue.Claim);
    }

    private static SaslStep Take(ScramDialogue dialogue, string message) => dialogue.Take(Encoding.UTF8.GetBytes(message));

    private static SaslStep Say(SaslExchange exchange, string message) =>
        exchange.Read(Encoding.ASCII.GetBytes(Convert.ToBase64String(Encoding.UTF8.GetBytes(message))));

    private static string Text(SaslStep step) => Encoding.UTF8.GetString(Convert.FromBase64String(step.Challenge));

    private static string Prove(string password, string exchange) => Prove(password, exchange, Convert.FromBase64String("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);

    /// <summary>The client's side (RFC 5802 §3).</summary>
    private static string Prove(string password, string exchange, byte[] salt, int iterations)
    {
        var salted = Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(SaslPrep.Prepare(password) ?? password), salt, iterations, HashAlgorithmName.SHA256, 32);
        var key = HMACSHA256.HashData(salted, "Client Key"u8);
        var signature = HMACSHA256.HashData(SHA256.HashData(key), Encoding.UTF8.GetBytes(exchange));
        return Convert.ToBase64String([.. key.Zip(signature, (a, b) => (byte)(a ^ b))]);
    }
}
